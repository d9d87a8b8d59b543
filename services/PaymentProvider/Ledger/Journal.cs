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
    private long _flushed;
    private Batch? _running;
    private Batch _queued = new();
    private Exception? _fault;

    private Journal(SafeFileHandle file, WriteToDisk write, long end) => (_file, _write, _flushed) = (file, write, end);

    /// <summary>Where the next line will begin.</summary>
    public long End
    {
        get
        {
            lock (_gate)
            {
                return EndOfRunning + _queued.Length;
            }
        }
    }

    /// <summary>Opens or creates the journal and hands over every line that it holds. A last line that a crash cut off was never answered: it is dropped.</summary>
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

            var batch = _queued;
            batch.Add(line);
            StartWriting();
            return batch.Flushed.Task;
        }
    }

    /// <summary>Ends when the line that begins at <paramref name="offset"/> is on the disk.</summary>
    public Task WhenDurable(long offset)
    {
        lock (_gate)
        {
            StartWriting();
            return offset < _flushed ? Task.CompletedTask : offset < EndOfRunning ? _running!.Flushed.Task : _queued.Flushed.Task;
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

    private long EndOfRunning => _flushed + (_running?.Length ?? 0);

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
        if (_running is null && TakeQueued())
        {
            _ = Task.Run(WriteRunning);
        }
    }

    private bool TakeQueued()
    {
        (_running, _queued) = _queued.Lines.Count == 0 ? (null, _queued) : (_queued, new Batch());
        return _running is not null;
    }

    private void WriteRunning()
    {
        bool isMore;
        do
        {
            try
            {
                _write(_file, _running!.Lines, _flushed);
            }
            catch (Exception exception)
            {
                KeepRunning(exception);
                return;
            }

            lock (_gate)
            {
                _fault = null;
                _flushed = EndOfRunning;
                _running.Flushed.SetResult();
                isMore = TakeQueued();
            }
        }
        while (isMore);
    }

    /// <summary>
    /// What of the batch is on the disk is unknown now. Its callers are told so, and the whole of it is written again in the same place: a
    /// flush that failed says nothing about what an earlier one has brought to the disk, nor does a later one about what this one has not.
    /// </summary>
    private void KeepRunning(Exception cause)
    {
        lock (_gate)
        {
            Batch[] failed = [_running!, _queued];
            (_fault, _running, _queued) = (cause, null, new Batch());
            foreach (var batch in failed)
            {
                batch.Lines.ForEach(_queued.Add);
                batch.Flushed.SetException(new JournalFaultException(cause));
            }
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

    /// <summary>Lines that share a flush.</summary>
    private sealed class Batch
    {
        public List<ReadOnlyMemory<byte>> Lines { get; } = [];

        public long Length { get; private set; }

        public TaskCompletionSource Flushed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Add(ReadOnlyMemory<byte> line)
        {
            Lines.Add(line);
            Length += line.Length;
        }
    }
}

/// <summary>Writes the lines in the place and brings them to the disk.</summary>
public delegate void WriteToDisk(SafeFileHandle file, IReadOnlyList<ReadOnlyMemory<byte>> lines, long offset);

/// <summary>The journal cannot be written at present. Whether the line is recorded is open until the call is made again.</summary>
public sealed class JournalFaultException(Exception cause) : Exception($"The journal could not be written: {cause.Message}", cause);
