using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>A process that must not be mistaken for a later one with the same number: the start time tells them apart.</summary>
internal sealed record ProcessMark(int Id, DateTime StartedUtc)
{
    /// <summary>The start time is reckoned from the clock and the time since boot, by each reader anew.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(2);

    /// <summary>Of a process that has ended already, before anybody could ask it when it began: a mark that no process bears.</summary>
    public static ProcessMark Of(Process process)
    {
        try
        {
            return new(process.Id, process.StartTime.ToUniversalTime());
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            return new(process.Id, default);
        }
    }

    /// <summary>The process, if it still runs and is the one that was marked.</summary>
    public Process? Find()
    {
        Process? process = null;
        try
        {
            process = Process.GetProcessById(Id);
            if (!process.HasExited && (process.StartTime.ToUniversalTime() - StartedUtc).Duration() <= Tolerance)
                return process;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or Win32Exception)
        {
            // It is gone, or it belongs to another user and so is not ours.
        }

        process?.Dispose();
        return null;
    }

    /// <summary>Ends the process and all its descendants at once; false when there was none.</summary>
    public bool Kill()
    {
        using var process = Find();
        if (process is null)
            return false;
        try
        {
            process.Kill(entireProcessTree: true);
            return true;
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException)
        {
            // It ended by itself meanwhile.
            return false;
        }
    }
}

/// <summary>What .NET does not offer on every platform: asking a process to end, and listing what it has started.</summary>
internal static partial class ProcessTree
{
    private const int Sigterm = 15;
    private const uint CtrlBreak = 1;

    /// <summary>SIGTERM, on Windows Ctrl-Break (the process must be the head of a group of its own).</summary>
    public static void AskToEnd(int processId)
    {
        if (OperatingSystem.IsWindows())
            _ = GenerateConsoleCtrlEvent(CtrlBreak, (uint)processId);
        else
            _ = SendSignal(processId, Sigterm);
    }

    /// <summary>
    /// The descendants of a process. Once it has ended they belong to nobody and cannot be found: so look before. Empty on Windows, where
    /// <see cref="ProcessJob"/> holds them.
    /// </summary>
    public static IReadOnlyList<ProcessMark> DescendantsOf(int processId)
    {
        if (OperatingSystem.IsWindows())
            return [];
        var children = Parents().ToLookup(p => p.Parent, p => p.Id);
        var found = new List<int>(children[processId]);
        for (var i = 0; i < found.Count; i++)
            found.AddRange(children[found[i]]);

        var marks = new List<ProcessMark>();
        foreach (var id in found)
        {
            try
            {
                using var process = Process.GetProcessById(id);
                marks.Add(ProcessMark.Of(process));
            }
            catch (Exception e) when (e is ArgumentException or InvalidOperationException or Win32Exception)
            {
                // Ended since the list was made.
            }
        }

        return marks;
    }

    private static IEnumerable<(int Id, int Parent)> Parents() => OperatingSystem.IsLinux() ? ParentsFromProc() : ParentsFromPs();

    private static IEnumerable<(int Id, int Parent)> ParentsFromProc()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && TryRead(Path.Combine(folder, "stat")) is { } stat)
            {
                // "12 (name, which may hold anything) S 1 ...": the state and the parent follow the last parenthesis.
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                yield return (id, int.Parse(fields[1], CultureInfo.InvariantCulture));
            }
        }
    }

    private static string? TryRead(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static IEnumerable<(int Id, int Parent)> ParentsFromPs()
    {
        foreach (var line in Tool.Run("ps", "-A", "-o", "pid=,ppid="))
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var id, var parent])
                yield return (int.Parse(id, CultureInfo.InvariantCulture), int.Parse(parent, CultureInfo.InvariantCulture));
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SendSignal(int processId, int signal);

    [LibraryImport("kernel32")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GenerateConsoleCtrlEvent(uint signal, uint processGroup);
}
