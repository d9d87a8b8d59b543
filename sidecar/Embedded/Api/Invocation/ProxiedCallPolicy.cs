using System.Globalization;
using System.Net;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;
using Polly;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>
/// Sends a proxied gRPC call under a policy (pkg/api/grpc/proxy/handler.go). A status other than OK is a failure where it comes before any answer; the
/// call is made again only if all that the caller sends had come by then, which of a unary call it has.
/// </summary>
/// <param name="mostKept">Bytes of a request that are kept to be sent again.</param>
internal sealed class ProxiedCallPolicy(ResiliencePipeline policy, HttpMessageInvoker inner, int mostKept) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = new KeptContent(request.Content!, mostKept);
        request.Content = body;
        HttpResponseMessage? refusal = null;
        try
        {
            return await policy.ExecuteAsync(SendOnceAsync, cancellationToken);
        }
        catch (AttemptFailedException) when (refusal is not null)
        {
            return refusal;
        }

        async ValueTask<HttpResponseMessage> SendOnceAsync(CancellationToken attempt)
        {
            refusal?.Dispose();
            refusal = null;
            if (!body.CanBeSentAgain)
                throw new AttemptFailedException("a stream that has begun cannot be made again; with metadata dapr-stream: true no policy tries to", isFinal: true);
            try
            {
                var answer = await inner.SendAsync(request, attempt);
                if (StatusOf(answer) is not { } status || status == StatusCode.OK)
                    return answer;
                refusal = answer;
                throw new AttemptFailedException($"the call was answered {status}", grpcStatus: status, isFinal: !body.CanBeSentAgain);
            }
            catch (HttpRequestException e)
            {
                throw new AttemptFailedException(e.Message, grpcStatus: StatusCode.Unavailable, inner: e, isFinal: !body.CanBeSentAgain);
            }
        }
    }

    /// <summary>Null while the call goes on: its status then comes behind its messages.</summary>
    private static StatusCode? StatusOf(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues("grpc-status", out var given) && int.TryParse(given.ToString(), CultureInfo.InvariantCulture, out var status)
            ? (StatusCode)status
            : null;

    /// <summary>A body that is kept while it is sent for the first time.</summary>
    private sealed class KeptContent : HttpContent
    {
        private readonly HttpContent _body;
        private readonly int _mostKept;
        private MemoryStream? _kept = new();
        private bool _isBegun;
        private volatile bool _isWhole;

        public KeptContent(HttpContent body, int mostKept)
        {
            (_body, _mostKept) = (body, mostKept);
            foreach (var (name, values) in body.Headers.NonValidated)
                Headers.TryAddWithoutValidation(name, values);
        }

        public bool CanBeSentAgain => !_isBegun || (_isWhole && _kept is not null);

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            if (_isBegun)
            {
                await stream.WriteAsync(_kept!.GetBuffer().AsMemory(0, (int)_kept.Length), cancellationToken);
                return;
            }

            _isBegun = true;
            await _body.CopyToAsync(new Keeping(stream, this), context, cancellationToken);
            _isWhole = true;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        private void Keep(ReadOnlySpan<byte> bytes)
        {
            if (_kept?.Length + bytes.Length > _mostKept)
                _kept = null;
            _kept?.Write(bytes);
        }

        private sealed class Keeping(Stream to, KeptContent keeper) : Stream
        {
            public override bool CanRead => false;

            public override bool CanSeek => false;

            public override bool CanWrite => true;

            public override long Length => throw new NotSupportedException();

            public override long Position
            {
                get => throw new NotSupportedException();
                set => throw new NotSupportedException();
            }

            public override void Write(byte[] buffer, int offset, int count)
            {
                keeper.Keep(buffer.AsSpan(offset, count));
                to.Write(buffer, offset, count);
            }

            public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
            {
                keeper.Keep(buffer.Span);
                return to.WriteAsync(buffer, cancellationToken);
            }

            public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
                WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

            public override void Flush() => to.Flush();

            public override Task FlushAsync(CancellationToken cancellationToken) => to.FlushAsync(cancellationToken);

            public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

            public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

            public override void SetLength(long value) => throw new NotSupportedException();
        }
    }
}
