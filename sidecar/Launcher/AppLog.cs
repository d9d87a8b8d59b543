namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// What an app writes: into {appDirPath}/.dapr/logs/{appID}_app_{time}.log and onto the console, as far as <c>appLogDestination</c> says, as the
/// Dapr CLI does.
/// </summary>
internal sealed class AppLog : IDisposable
{
    private const int KeptLines = 20;

    private readonly RunApp _app;
    private readonly LaunchConsole _console;
    private readonly LogFile? _file;
    private readonly Queue<string> _last = new();
    private readonly Lock _writing = new();

    public AppLog(RunApp app, LaunchConsole console, TimeProvider time)
    {
        _app = app;
        _console = console;
        _file = app.AppLogDestination == LogDestination.Console ? null : LogFile.Of(app, "app", time);
    }

    /// <summary>Null when the app writes to the console only.</summary>
    public string? FilePath => _file?.Path;

    /// <summary>The last lines, for the message about a death.</summary>
    public IReadOnlyList<string> Last
    {
        get
        {
            lock (_writing)
                return [.. _last];
        }
    }

    public void Write(string line)
    {
        // The frames of a stack trace would push away what matters from the last lines.
        var isFrame = line.AsSpan().TrimStart() is ['a', 't', ' ', ..] or ['-', '-', '-', ' ', 'E', 'n', 'd', ..];
        lock (_writing)
        {
            _file?.WriteLine(line);
            if (!isFrame)
                _last.Enqueue(line);
            if (_last.Count > KeptLines)
                _last.Dequeue();
        }

        if (_app.AppLogDestination != LogDestination.File)
            _console.App(_app.AppId, line);
    }

    /// <summary>A new process of the same app: the last lines are its own.</summary>
    public void StartOver()
    {
        lock (_writing)
            _last.Clear();
    }

    public void Dispose()
    {
        lock (_writing)
            _file?.Dispose();
    }
}
