using System.Collections.Concurrent;
using System.Globalization;
using EmbeddedSidecar.Hosting;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// The logs of all sidecars: each into a file of its own and onto the console, as far as its <c>daprdLogDestination</c> says, as with the Dapr CLI; and what
/// belongs to no app alone, such as components, into one beside. Errors are always on the console.
/// </summary>
internal sealed class SidecarLog : ILoggerProvider
{
    private readonly LaunchConsole _console;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, Destination> _apps = new(StringComparer.Ordinal);
    private readonly Destination _common;
    private readonly ConcurrentDictionary<string, ILogger> _loggers = new(StringComparer.Ordinal);
    private readonly Lock _writing = new();

    /// <param name="file">For what belongs to no app alone; it is on the console where that of any app is.</param>
    /// <param name="console">The console.</param>
    /// <param name="time">The clock.</param>
    /// <param name="apps">Those of the run file.</param>
    /// <exception cref="LaunchException">A log cannot be written.</exception>
    public SidecarLog(string file, LaunchConsole console, TimeProvider time, IReadOnlyList<RunApp> apps)
    {
        (_console, _time) = (console, time);
        _common = new(null, new LogFile(file), OnConsole: apps.Any(app => app.DaprdLogDestination != LogDestination.File));
        try
        {
            foreach (var app in apps.DistinctBy(app => app.AppId))
            {
                var own = app.DaprdLogDestination == LogDestination.Console ? null : LogFile.Of(app, "daprd", time);
                _apps[SidecarRuntime.LogCategory(app.AppId)] = new(app.AppId, own, app.DaprdLogDestination != LogDestination.File);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Null when the sidecar of an app writes to the console only.</summary>
    public string? FileOf(string appId) => _apps[SidecarRuntime.LogCategory(appId)].File?.Path;

    public ILogger CreateLogger(string categoryName) => _loggers.GetOrAdd(categoryName, name => new Logger(this, name, DestinationOf(name)));

    public void Dispose()
    {
        lock (_writing)
        {
            _common.File!.Dispose();
            foreach (var app in _apps.Values)
                app.File?.Dispose();
        }
    }

    private Destination DestinationOf(string category) => category == EmbeddedDapr.ChangesCategory ? _common with { OnConsole = true } : _apps.GetValueOrDefault(category, _common);

    private void Write(LogLevel level, string category, string message, Exception? exception, Destination to)
    {
        if (to.File is { } file)
        {
            var now = _time.GetLocalNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
            var text = $"{now} {level} {category} {message}{(exception is null ? "" : Environment.NewLine + exception)}";
            lock (_writing)
                file.WriteLine(text);
        }

        if (level >= LogLevel.Error || to.OnConsole)
            _console.Sidecar(to.AppId, exception is null ? message : $"{message} ({exception.GetType().Name}: {exception.Message})");
    }

    /// <param name="AppId">Null: it belongs to no app alone.</param>
    /// <param name="File">Null: on the console only.</param>
    /// <param name="OnConsole">Also what is no error.</param>
    private sealed record Destination(string? AppId, LogFile? File, bool OnConsole);

    private sealed class Logger(SidecarLog log, string category, Destination destination) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        /// <summary>The servers' own life is told on the console already.</summary>
        private readonly LogLevel _minimum = category.StartsWith("Microsoft.", StringComparison.Ordinal) ? LogLevel.Warning : LogLevel.Information;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= _minimum && logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                log.Write(logLevel, category, formatter(state, exception), exception, destination);
        }
    }
}
