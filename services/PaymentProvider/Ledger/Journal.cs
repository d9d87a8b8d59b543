using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace DaprOrders.PaymentProvider;

/// <summary>
/// A file of lines that only grows. A line counts once it is on the disk; all lines that queued while the last flush was at work share
/// the next one. Appending is not safe for several threads at once: the caller holds a lock, because it decides by what it appends.
/// While the file cannot be written (a full disk), lines that were promised are kept, every call tries again to write them, and no line is added.
/// </summary>
public sealed class Journal : IDisposable
{
    private const int ReadSize = 64 * 1024;

    private readonly SafeFileHandle _file;
    private readonly WriteToDisk _write;
    private readonly Lock _gate = new();
    private List<byte[]> _queued = [];
    private TaskCompletionSource _queuedFlush = NewFlush();
    private TaskCompletionSource _runningFlush = NewFlush();
    private long _flushed;
    private long _running;
    private bool _writing;
    private Exception? _fault;

    private Journal(SafeFileHandle file, WriteToDisk write, long end)
    {
        _file = file;
        _write = write;
        End = _flushed = _running = end;
    }

    /// <summary>Where the next line will begin.</summary>
    public long End { get; private set; }

    /// <summary>Opens or creates the journal and hands over every line that it holds. A last line that a crash cut off was never answered: it is dropped.</summary>
    /// <exception cref="InvalidDataException">A line other than the last cannot be read.</exception>
    public static Journal Open(string path, Action<long, ReadOnlySpan<byte>> replay, WriteToDisk? write = null)
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
            return new Journal(file, write ?? WriteAndFlush, end);
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
    /// <exception cref="JournalFaultException">The file could not be written last time, so the line was not added. From the task: it was, and is written once that can be done.</exception>
    public Task Append(byte[] line)
    {
        lock (_gate)
        {
            if (_fault is not null)
            {
                StartWriting();
                throw new JournalFaultException(_fault);
            }

            _queued.Add(line);
            End += line.Length;
            StartWriting();
            return _queuedFlush.Task;
        }
    }

    /// <summary>Ends when the line that begins at <paramref name="offset"/> is on the disk.</summary>
    public Task WhenDurable(long offset)
    {
        lock (_gate)
        {
            StartWriting();
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

    private static void WriteAndFlush(SafeFileHandle file, IReadOnlyList<ReadOnlyMemory<byte>> lines, long offset)
    {
        RandomAccess.Write(file, lines, offset);
        RandomAccess.FlushToDisk(file);
    }

    private void StartWriting()
    {
        if (!_writing && _queued.Count > 0)
        {
            _writing = true;
            _ = Task.Run(WriteQueued);
        }
    }

    private void WriteQueued()
    {
        while (TakeQueued() is { } batch)
        {
            try
            {
                _write(_file, batch.ConvertAll(line => (ReadOnlyMemory<byte>)line), _flushed);
            }
            catch (Exception exception)
            {
                Keep(batch, exception);
                return;
            }

            lock (_gate)
            {
                _fault = null;
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

    /// <summary>
    /// What of the batch is on the disk is unknown now. Its callers are told so, and the whole of it is written again in the same place: a
    /// flush that failed says nothing about what an earlier one has brought to the disk, nor does a later one about what this one has not.
    /// </summary>
    private void Keep(List<byte[]> batch, Exception cause)
    {
        lock (_gate)
        {
            _fault = cause;
            _queued.InsertRange(0, batch);
            _running = _flushed;
            _writing = false;
            _runningFlush.SetException(new JournalFaultException(cause));
            _queuedFlush.SetException(new JournalFaultException(cause));
            _queuedFlush = NewFlush();
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

/// <summary>Writes the lines in the place and brings them to the disk.</summary>
public delegate void WriteToDisk(SafeFileHandle file, IReadOnlyList<ReadOnlyMemory<byte>> lines, long offset);

/// <summary>The journal cannot be written at present. Whether the line is recorded is open until the call is made again.</summary>
public sealed class JournalFaultException(Exception cause) : Exception($"The journal could not be written: {cause.Message}", cause);
