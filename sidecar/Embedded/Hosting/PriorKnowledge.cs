using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// HTTP/2 without TLS on a port of HTTP/1.1, as daprd has it (h2c): Kestrel serves the two on one port only where TLS has them chosen. A connection
/// that begins with the preface of HTTP/2 goes to an endpoint of Kestrel's that has no address, which this is; it is marked by this as a feature. All others go on
/// as they are.
/// </summary>
internal sealed class PriorKnowledge(TimeSpan patience) : EndPoint, IConnectionListenerFactory, IConnectionListenerFactorySelector, IConnectionListener
{
    private readonly Channel<ConnectionContext> _connections = Channel.CreateUnbounded<ConnectionContext>();

    private static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    EndPoint IConnectionListener.EndPoint => this;

    public bool CanBind(EndPoint endpoint) => endpoint == this;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => new(this);

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
        await _connections.Reader.WaitToReadAsync(cancellationToken) && _connections.Reader.TryRead(out var connection) ? connection : null;

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _connections.Writer.TryComplete();
        return default;
    }

    public ValueTask DisposeAsync() => UnbindAsync();

    /// <summary>Middleware of the port.</summary>
    public ConnectionDelegate Choose(ConnectionDelegate http1) => async connection =>
    {
        switch (await IsHttp2Async(connection))
        {
            case true when new Handed(connection, this) is var handed && _connections.Writer.TryWrite(handed):
                await handed.Ended;
                break;
            case false:
                await http1(connection);
                break;
        }
    };

    /// <summary>Null: it has ended, said nothing for too long, or the server stops.</summary>
    private async Task<bool?> IsHttp2Async(ConnectionContext connection)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(
            connection.ConnectionClosed, connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default);
        ending.CancelAfter(patience);
        try
        {
            return await BeginsWithPrefaceAsync(connection.Transport.Input, ending.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return null;
        }
    }

    /// <summary>Takes nothing away.</summary>
    private static async Task<bool> BeginsWithPrefaceAsync(PipeReader input, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken);
            var length = (int)Math.Min(read.Buffer.Length, Preface.Length);
            var isSoFar = read.Buffer.Slice(0, length).ToArray().AsSpan().SequenceEqual(Preface[..length]);
            var isKnown = !isSoFar || length == Preface.Length || read.IsCompleted;
            input.AdvanceTo(read.Buffer.Start, isKnown ? read.Buffer.Start : read.Buffer.End);
            if (isKnown)
                return isSoFar && length == Preface.Length;
        }
    }

    /// <summary>The same connection, under features of its own; who has accepted it waits for its end.</summary>
    private sealed class Handed(ConnectionContext connection, PriorKnowledge mark) : ConnectionContext
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        public override string ConnectionId
        {
            get => connection.ConnectionId;
            set => connection.ConnectionId = value;
        }

        public override IFeatureCollection Features { get; } = Marked(connection.Features, mark);

        public override IDictionary<object, object?> Items
        {
            get => connection.Items;
            set => connection.Items = value;
        }

        public override IDuplexPipe Transport
        {
            get => connection.Transport;
            set => connection.Transport = value;
        }

        public override EndPoint? LocalEndPoint
        {
            get => connection.LocalEndPoint;
            set => connection.LocalEndPoint = value;
        }

        public override EndPoint? RemoteEndPoint
        {
            get => connection.RemoteEndPoint;
            set => connection.RemoteEndPoint = value;
        }

        public override CancellationToken ConnectionClosed
        {
            get => connection.ConnectionClosed;
            set => connection.ConnectionClosed = value;
        }

        private static FeatureCollection Marked(IFeatureCollection of, PriorKnowledge mark)
        {
            var features = new FeatureCollection(of);
            features.Set(mark);
            return features;
        }

        public override void Abort(ConnectionAbortedException abortReason) => connection.Abort(abortReason);

        public override ValueTask DisposeAsync()
        {
            _ended.TrySetResult();
            return base.DisposeAsync();
        }
    }
}
