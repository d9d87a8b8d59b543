using System.ComponentModel;
using System.Diagnostics;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>One running process of an app, with its output going to the app's log.</summary>
internal sealed class AppProcess : IDisposable
{
    private static readonly TimeSpan OutputAfterExit = TimeSpan.FromMilliseconds(500);

    private readonly Process _process;
    private readonly Task _output;
    private readonly ProcessJob? _tree;

    private AppProcess(Process process, AppLog log)
    {
        _process = process;
        _tree = OperatingSystem.IsWindows() ? ProcessJob.Around(process) : null;
        Mark = ProcessMark.Of(process);
        _output = Task.WhenAll(
            CopyAsync(process.StandardOutput, log.Write),
            CopyAsync(process.StandardError, log.Write));
        Exited = WaitForExitAsync();
    }

    public ProcessMark Mark { get; }

    /// <summary>The exit code, once the process has ended and what it wrote is in the log.</summary>
    public Task<int> Exited { get; }

    /// <exception cref="LaunchException">The program cannot be started.</exception>
    public static AppProcess Start(RunApp app, IReadOnlyDictionary<string, string> environment, AppLog log)
    {
        var start = new ProcessStartInfo(Resolve(app.Command[0], app.AppDirPath), app.Command.Skip(1))
        {
            WorkingDirectory = app.AppDirPath,
            // Stays open and ends with this process: an app that reads its input learns of it.
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (OperatingSystem.IsWindows())
            start.CreateNewProcessGroup = true;
        foreach (var (name, value) in environment)
            start.Environment[name] = value;

        try
        {
            return new AppProcess(Process.Start(start)!, log);
        }
        catch (Win32Exception e)
        {
            throw new LaunchException($"{app.Location}: {app.AppId} cannot be started: \"{start.FileName}\" in {app.AppDirPath}: {e.Message}", e);
        }
    }

    /// <summary>Asks the process to end, and ends it and all it has started when the time is over.</summary>
    public async Task StopAsync(TimeSpan grace)
    {
        var descendants = ProcessTree.DescendantsOf(Mark.Id);
        ProcessTree.AskToEnd(Mark.Id);
        try
        {
            await Exited.WaitAsync(grace);
        }
        catch (TimeoutException)
        {
            Mark.Kill();
            await Exited;
        }

        foreach (var descendant in descendants)
            descendant.Kill();
        _tree?.Dispose();
    }

    public void Dispose()
    {
        _tree?.Dispose();
        _process.Dispose();
    }

    /// <summary>As the CLI (Go) finds a program: a path starts at the app's folder, a bare name is looked up in PATH.</summary>
    private static string Resolve(string program, string folder)
    {
        if (program.Contains('/', StringComparison.Ordinal) || program.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal))
            return Path.GetFullPath(program, folder);

        string[] extensions = OperatingSystem.IsWindows() ? [.. (Environment.GetEnvironmentVariable("PATHEXT") ?? ".EXE").Split(';'), ""] : [""];
        var candidates = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(f => extensions.Select(e => Path.Combine(f, program + e)));
        return candidates.FirstOrDefault(File.Exists) ?? (program == "dotnet" ? DotnetHost.Path : program);
    }

    private static async Task CopyAsync(StreamReader from, Action<string> to)
    {
        while (await from.ReadLineAsync() is { } line)
            to(line);
    }

    private async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync();
        try
        {
            await _output.WaitAsync(OutputAfterExit);
        }
        catch (TimeoutException)
        {
            // A process that it started still holds the pipe.
        }

        return _process.ExitCode;
    }
}
