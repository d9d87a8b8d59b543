using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>A temporary folder with a run file, its apps' folders and an in-memory component; gone when disposed.</summary>
internal sealed partial class Workspace : IDisposable
{
    /// <summary>There a program takes its time to die at once.</summary>
    private static readonly RestartPolicy OnABusyMachine = RestartPolicy.Default with { AtOnce = TimeSpan.FromMinutes(5) };

    private readonly StringWriter _written = new();
    private readonly TextWriter _console;
    private SidecarLog? _log;

    public Workspace()
    {
        Directory.CreateDirectory(PathOf("components"));
        Write("components/store.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: statestore}\nspec: {type: state.in-memory, version: v1}\n");
        // Locks itself.
        _console = TextWriter.Synchronized(_written);
        Console = new LaunchConsole(_console);
    }

    /// <summary>The tiny application of these tests, as a command of a run file.</summary>
    public static string TinyApp { get; } = $"dotnet, \"{Path.Combine(AppContext.BaseDirectory, "DaprOrders.TinyApp.dll").Replace("\\", "\\\\", StringComparison.Ordinal)}\"";

    public string Folder { get; } = Directory.CreateTempSubdirectory("launcher-").FullName;

    public string RunFile => PathOf("dapr.yaml");

    public LaunchConsole Console { get; }

    public string Shown
    {
        get
        {
            lock (_console)
                return _written.ToString();
        }
    }

    public string PathOf(string relative) => Path.Combine(Folder, relative.Replace('/', Path.DirectorySeparatorChar));

    public Workspace Write(string file, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(file))!);
        File.WriteAllText(PathOf(file), text);
        return this;
    }

    /// <summary>A run file with these apps; the in-memory component is common to them.</summary>
    public Workspace WithApps(string apps)
    {
        foreach (var folder in new[] { "one", "two" })
            Directory.CreateDirectory(PathOf(folder));
        return Write("dapr.yaml", $"version: 1\ncommon:\n  resourcesPaths: [components]\napps:\n{apps}");
    }

    /// <summary>The run file and resources of a folder of Cases, with the tiny application in the place of theirs, on free ports.</summary>
    public Workspace WithCase(string name)
    {
        Directory.Delete(PathOf("components"), recursive: true);
        var folder = Path.Combine(AppContext.BaseDirectory, "Launcher", "Cases", name);
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            Write(Path.GetRelativePath(folder, file).Replace('\\', '/'), File.ReadAllText(file));
        var runFile = File.ReadAllText(RunFile).Replace("python3, ../app.py", $"{TinyApp}, case", StringComparison.Ordinal);
        return Write("dapr.yaml", PortOfCase().Replace(runFile, _ => FreePort.Next().ToString(CultureInfo.InvariantCulture)));
    }

    /// <summary>The apps and the guard of a launcher that runs there.</summary>
    public List<ProcessMark> RecordedProcesses() =>
        [.. JsonDocument.Parse(File.ReadAllText(PathOf(".dapr/processes.json"))).RootElement.EnumerateArray()
            .Select(e => new ProcessMark(e.GetProperty("Id").GetInt32(), e.GetProperty("StartedUtc").GetDateTime()))];

    public LaunchPlan Plan() => LaunchPlan.Read(new LaunchOptions { RunFile = RunFile });

    public async Task<(RunningSystem System, ProcessRecord Record)> StartAsync(bool failFast = false)
    {
        var plan = Plan();
        var record = ProcessRecord.TryOpen(plan.DataFolder)!;
        var began = TimeProvider.System.GetTimestamp();
        _log = new SidecarLog(PathOf(".dapr/sidecar.log"), Console, TimeProvider.System, plan.RunFile.Apps);
        var system = await RunningSystem.StartAsync(
            plan, record, Console, _log, TimeProvider.System, began, failFast, OnABusyMachine, TestContext.Current.CancellationToken);
        return (system, record);
    }

    [GeneratedRegex(@"\b[63][16]3\d\b")]
    private static partial Regex PortOfCase();

    public void Dispose()
    {
        _log?.Dispose();
        try
        {
            Directory.Delete(Folder, recursive: true);
        }
        catch (IOException)
        {
            // Windows: a process that was killed a moment ago still holds its folder; the system's temporary folder may keep it.
        }
    }
}

internal static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>Waits until it holds; fails with what was waited for when a busy machine, too, would long have come to it.</summary>
    public static async Task HoldsAsync(Func<bool> condition, string what)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        var started = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Limit, $"not seen within {Limit.TotalSeconds} s: {what}");
            await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    /// <summary>A killed orphan stays in the table as a zombie where nobody collects it: it has ended all the same.</summary>
    public static bool HasEnded(ProcessMark mark)
    {
        using var process = mark.Find();
        if (process is null)
            return true;
        try
        {
            return OperatingSystem.IsLinux() && File.ReadAllText($"/proc/{mark.Id}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            // Gone between the two looks.
            return true;
        }
    }
}
