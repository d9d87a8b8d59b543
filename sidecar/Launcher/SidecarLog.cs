using System.Collections.Concurrent;
using System.Globalization;
using EmbeddedSidecar.Hosting;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>The log of all sidecars: one file, and the console for those of whom <c>daprdLogDestination</c> says so. Errors are always on the console.</summary>
internal sealed class SidecarLog : ILoggerProvider
{
    private readonly LogFile _file;
    private readonly LaunchConsole _console;
    private readonly TimeProvider _time;
    private readonly IReadOnlyList<RunApp> _apps;
    private readonly ConcurrentDictionary<string, ILogger> _loggers = new(StringComparer.Ordinal);
    private readonly Lock _writing = new();

    public SidecarLog(string file, LaunchConsole console, TimeProvider time, IReadOnlyList<RunApp> apps)
    {
        _file = new LogFile(file);
        (_console, _time, _apps) = (console, time, apps);
    }

    public string FilePath => _file.Path;

    public ILogger CreateLogger(string categoryName) => _loggers.GetOrAdd(categoryName, name => new Logger(this, name, DestinationOf(name)));

    public void Dispose()
    {
        lock (_writing)
            _file.Dispose();
    }

    /// <summary>What belongs to no app alone, such as components, is on the console where that of any app is.</summary>
    private (string? AppId, LogDestination To) DestinationOf(string category)
    {
        if (_apps.FirstOrDefault(app => category == SidecarRuntime.LogCategory(app.AppId)) is { } app)
            return (app.AppId, app.DaprdLogDestination);
        if (category == EmbeddedDapr.ChangesCategory)
            return (null, LogDestination.FileAndConsole);
        return (null, _apps.Any(a => a.DaprdLogDestination != LogDestination.File) ? LogDestination.FileAndConsole : LogDestination.File);
    }

    private void Write(LogLevel level, string category, string message, Exception? exception, string? appId, LogDestination to)
    {
        if (to != LogDestination.Console)
        {
            var now = _time.GetLocalNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
            var text = $"{now} {level} {category} {message}{(exception is null ? "" : Environment.NewLine + exception)}";
            lock (_writing)
                _file.WriteLine(text);
        }

        if (level >= LogLevel.Error || to != LogDestination.File)
            _console.Sidecar(appId, exception is null ? message : $"{message} ({exception.GetType().Name}: {exception.Message})");
    }

    private sealed class Logger(SidecarLog log, string category, (string? AppId, LogDestination To) destination) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        /// <summary>The servers' own life is told on the console already.</summary>
        private readonly LogLevel _minimum = category.StartsWith("Microsoft.", StringComparison.Ordinal) ? LogLevel.Warning : LogLevel.Information;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= _minimum && logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                log.Write(logLevel, category, formatter(state, exception), exception, destination.AppId, destination.To);
        }
    }
}
