using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace DaprOrders.PaymentProvider;

/// <summary>
/// A file of lines that only grows. A line counts once it is on the disk; all lines that queued while the last flush was at work share
/// the next one. Appending is not safe for several threads at once: the caller holds a lock, because it decides by what it appends.
/// </summary>
public sealed class Journal : IDisposable
{
    private const int ReadSize = 64 * 1024;

    private readonly SafeFileHandle _file;
    private readonly Lock _gate = new();
    private List<byte[]> _queued = [];
    private TaskCompletionSource _queuedFlush = NewFlush();
    private TaskCompletionSource _runningFlush = NewFlush();
    private long _flushed;
    private long _running;
    private bool _writing;
    private IOException? _fault;

    private Journal(SafeFileHandle file, long end)
    {
        _file = file;
        End = _flushed = _running = end;
    }

    /// <summary>Where the next line will begin.</summary>
    public long End { get; private set; }

    /// <summary>Opens or creates the journal and hands over every line that it holds. A last line that a crash cut off was never answered: it is dropped.</summary>
    /// <exception cref="InvalidDataException">A line other than the last cannot be read.</exception>
    public static Journal Open(string path, Action<long, ReadOnlySpan<byte>> replay)
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder)
        {
            Directory.CreateDirectory(folder);
        }

        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            var end = 0L;
            foreach (var (offset, line) in ReadLines(file, 0, RandomAccess.GetLength(file)))
            {
                replay(offset, line.Span);
                end = offset + line.Length + 1;
            }

            RandomAccess.SetLength(file, end);
            return new Journal(file, end);
        }
        catch (JsonException exception)
        {
            file.Dispose();
            throw new InvalidDataException($"The journal {path} holds a line that is no ledger entry: {exception.Message} Restore the file, or move it away to begin with an empty ledger.", exception);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Adds a line, which ends with a line feed; the task ends when it is on the disk.</summary>
    public Task Append(byte[] line)
    {
        lock (_gate)
        {
            ThrowIfBroken();
            _queued.Add(line);
            End += line.Length;
            if (!_writing)
            {
                _writing = true;
                _ = Task.Run(WriteQueued);
            }

            return _queuedFlush.Task;
        }
    }

    /// <summary>Ends when the line that begins at <paramref name="offset"/> is on the disk.</summary>
    public Task WhenDurable(long offset)
    {
        lock (_gate)
        {
            ThrowIfBroken();
            return offset < _flushed ? Task.CompletedTask : offset < _running ? _runningFlush.Task : _queuedFlush.Task;
        }
    }

    /// <summary>The line that begins at <paramref name="offset"/>; empty when none does.</summary>
    public ReadOnlyMemory<byte> ReadAt(long offset)
    {
        if (offset < 0 || offset >= Flushed || !BeginsLine(offset))
        {
            return default;
        }

        return ReadLines(_file, offset, Flushed).Select(line => line.Line).FirstOrDefault();
    }

    /// <summary>The lines from <paramref name="offset"/> on that are on the disk, with the place where each begins.</summary>
    public IEnumerable<(long Offset, ReadOnlyMemory<byte> Line)> ReadFrom(long offset) =>
        BeginsLine(offset) ? ReadLines(_file, offset, Flushed) : [];

    public void Dispose() => _file.Dispose();

    private long Flushed
    {
        get
        {
            lock (_gate)
            {
                return _flushed;
            }
        }
    }

    private static TaskCompletionSource NewFlush() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private bool BeginsLine(long offset)
    {
        Span<byte> before = stackalloc byte[1];
        return offset == 0 || (offset > 0 && RandomAccess.Read(_file, before, offset - 1) == 1 && before[0] == '\n');
    }

    private void WriteQueued()
    {
        while (TakeQueued() is { } batch)
        {
            try
            {
                RandomAccess.Write(_file, batch.Select(line => (ReadOnlyMemory<byte>)line).ToArray(), _flushed);
                RandomAccess.FlushToDisk(_file);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                Break(exception);
                return;
            }

            lock (_gate)
            {
                _flushed = _running;
                _runningFlush.SetResult();
            }
        }
    }

    private List<byte[]>? TakeQueued()
    {
        lock (_gate)
        {
            if (_queued.Count == 0)
            {
                _writing = false;
                return null;
            }

            var batch = _queued;
            _queued = [];
            _runningFlush = _queuedFlush;
            _queuedFlush = NewFlush();
            _running = End;
            return batch;
        }
    }

    /// <summary>What is on the disk is unknown now: nothing is answered any more until a restart has read it.</summary>
    private void Break(Exception cause)
    {
        lock (_gate)
        {
            _fault = new IOException($"The journal could not be written ({cause.Message}). Free the disk and restart the payment provider.", cause);
            _runningFlush.SetException(_fault);
            _queuedFlush.SetException(_fault);
        }
    }

    private void ThrowIfBroken()
    {
        if (_fault is not null)
        {
            throw _fault;
        }
    }

    private static IEnumerable<(long Offset, ReadOnlyMemory<byte> Line)> ReadLines(SafeFileHandle file, long offset, long end)
    {
        var buffer = new byte[(int)Math.Min(ReadSize, Math.Max(end - offset, 0))];
        while (offset < end)
        {
            var read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - offset)), offset);
            var begin = 0;
            for (int length; (length = buffer.AsSpan(begin, read - begin).IndexOf((byte)'\n')) >= 0; begin += length + 1)
            {
                yield return (offset + begin, buffer.AsMemory(begin, length));
            }

            if (begin == 0 && read == ReadSize)
            {
                throw new InvalidDataException($"The journal holds a line of more than {ReadSize} bytes at {offset}; no entry is that long. Restore the file.");
            }

            if (begin == 0)
            {
                yield break;
            }

            offset += begin;
        }
    }
}
