using System.Runtime.CompilerServices;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// A connection of HTTP/1.1 to an application that may answer before it has read the request, and then close (413 to a body that is too large) or read
/// no further. What can no longer be written is dropped, and reading tells how it went: the client of .NET writes all of a request before it looks at
/// the answer, and would tell the failed write instead, or wait for ever.
/// </summary>
/// <param name="connection">Is closed with this stream.</param>
/// <param name="patience">So long an application that has begun to answer may leave what is sent to it unread.</param>
/// <param name="gaveUp">Told once when a part of a request was dropped: after its answer the connection is of no more use.</param>
internal sealed class EarlyAnswerStream(Stream connection, TimeSpan patience, Action<EarlyAnswerStream> gaveUp) : Stream
{
    private readonly Lock _lock = new();
    private readonly byte[] _buffer = new byte[16 * 1024];
    private Task<int>? _reading;
    private TaskCompletionSource? _answer;
    private bool _isReadDirectly;
    private Memory<byte> _read;
    private bool _isWriting;
    private volatile bool _hasAnswered;
    private bool _hasGivenUp;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _isWriting = false;
        if (_read.IsEmpty)
        {
            if (!buffer.IsEmpty && TryBeginReading())
                return await ReadDirectlyAsync(buffer, cancellationToken);
            var count = await Reading().WaitAsync(cancellationToken);
            if (buffer.IsEmpty)
                return 0;
            lock (_lock)
                (_read, _reading) = (_buffer.AsMemory(0, count), null);
        }

        var length = Math.Min(_read.Length, buffer.Length);
        _read[..length].CopyTo(buffer);
        _read = _read[length..];
        return length;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_isWriting)
            (_isWriting, _hasAnswered) = (true, false);
        if (_hasGivenUp)
            return ValueTask.CompletedTask;
        var writing = connection.WriteAsync(buffer, cancellationToken);
        return writing.IsCompletedSuccessfully ? writing : WaitAsync(writing.AsTask());
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush() => connection.Flush();

    public override Task FlushAsync(CancellationToken cancellationToken) => connection.FlushAsync(cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            connection.Dispose();
        base.Dispose(disposing);
    }

    private bool TryBeginReading()
    {
        lock (_lock)
            return _isReadDirectly = _reading is null;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadDirectlyAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await connection.ReadAsync(buffer, cancellationToken);
        }
        finally
        {
            lock (_lock)
            {
                (_isReadDirectly, _hasAnswered) = (false, true);
                _answer?.TrySetResult();
                _answer = null;
            }
        }
    }

    /// <summary>The application has begun to answer, or gone: the client may be reading already, and else it is read here.</summary>
    private Task AnswerAsync()
    {
        lock (_lock)
            return _isReadDirectly ? (_answer ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task : Reading();
    }

    /// <summary>One at a time: the client may be looking already, for the end of an idle connection.</summary>
    private Task<int> Reading()
    {
        lock (_lock)
            return _reading ??= ReadAsync();

        async Task<int> ReadAsync()
        {
            var count = await connection.ReadAsync(_buffer);
            _hasAnswered = true;
            return count;
        }
    }

    /// <summary>While the application does not take what is written, it is looked whether it answers.</summary>
    private async ValueTask WaitAsync(Task writing)
    {
        if (!_hasAnswered && _read.IsEmpty)
            await Task.WhenAny(writing, AnswerAsync());
        if (!writing.IsCompleted)
            await Task.WhenAny(writing, Task.Delay(patience));
        var end = EndAsync(writing);
        if (writing.IsCompleted)
        {
            await end;
            return;
        }

        _hasGivenUp = true;
        gaveUp(this);
    }

    private static async Task EndAsync(Task writing)
    {
        try
        {
            await writing;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // Reading tells.
        }
    }
}
