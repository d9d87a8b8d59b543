using System.Text.Json;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// The processes of a run, on disk, so that the next start can end what a killed one left behind; and a lock that only a living
/// launcher holds, so that two never share a data folder.
/// </summary>
internal sealed class ProcessRecord : IDisposable
{
    private readonly string _file;
    private readonly FileStream _lock;
    private readonly Dictionary<int, Entry> _entries = [];
    private readonly Lock _writing = new();
    private bool _wrote;

    private ProcessRecord(string file, FileStream @lock)
    {
        _file = file;
        _lock = @lock;
    }

    /// <summary>Takes the folder for this process, or null when another launcher runs there.</summary>
    public static ProcessRecord? TryOpen(string folder)
    {
        Directory.CreateDirectory(folder);
        try
        {
            // The system lets go of it however the process ends.
            var @lock = new FileStream(Path.Combine(folder, "launcher.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return new ProcessRecord(Path.Combine(folder, "processes.json"), @lock);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>A launcher runs there.</summary>
    public static bool IsHeld(string folder)
    {
        if (!File.Exists(Path.Combine(folder, "launcher.lock")))
            return false;
        using var record = TryOpen(folder);
        return record is null;
    }

    /// <summary>Ends what an earlier run left behind; answers whom.</summary>
    public IReadOnlyList<string> EndLeftovers()
    {
        if (!File.Exists(_file))
            return [];
        var ended = Read().Where(e => new ProcessMark(e.Id, e.StartedUtc).Kill()).ToList();
        // What was killed may hold ports and files for a moment yet.
        var until = Environment.TickCount64 + 2_000;
        foreach (var entry in ended)
        {
            using var process = new ProcessMark(entry.Id, entry.StartedUtc).Find();
            process?.WaitForExit((int)Math.Max(0, until - Environment.TickCount64));
        }

        File.Delete(_file);
        return [.. ended.Select(e => $"{e.Name} (process {e.Id})")];
    }

    /// <summary>Deletes all that the folder holds, this record's own files excepted.</summary>
    public void EmptyFolder()
    {
        foreach (var entry in new DirectoryInfo(Path.GetDirectoryName(_file)!).EnumerateFileSystemInfos().Where(e => e.FullName != _lock.Name))
        {
            if (entry is DirectoryInfo folder)
                folder.Delete(recursive: true);
            else
                entry.Delete();
        }
    }

    public void Add(string name, ProcessMark process)
    {
        lock (_writing)
        {
            _entries[process.Id] = new(name, process.Id, process.StartedUtc);
            Write();
        }
    }

    public void Remove(ProcessMark process)
    {
        lock (_writing)
        {
            _entries.Remove(process.Id);
            Write();
        }
    }

    public void Dispose()
    {
        // With its folder it may have been deleted while it was in use.
        if (_wrote && _entries.Count == 0 && File.Exists(_file))
            File.Delete(_file);
        _lock.Dispose();
    }

    private List<Entry> Read()
    {
        try
        {
            return JsonSerializer.Deserialize<List<Entry>>(File.ReadAllText(_file)) ?? [];
        }
        catch (JsonException)
        {
            // Killed while writing it, which is made unlikely by the move below.
            return [];
        }
    }

    private void Write()
    {
        _wrote = true;
        try
        {
            File.WriteAllText(_file + ".new", JsonSerializer.Serialize(_entries.Values));
            File.Move(_file + ".new", _file, overwrite: true);
        }
        catch (IOException)
        {
            // The disk is full: that is no reason not to start an app again. The guard ends what a killed launcher leaves, as long as it lives.
        }
    }

    private sealed record Entry(string Name, int Id, DateTime StartedUtc);
}
