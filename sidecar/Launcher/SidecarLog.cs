using System.Collections.Concurrent;
using System.Globalization;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>The log of all sidecars: one file; errors also on the console.</summary>
internal sealed class SidecarLog : ILoggerProvider
{
    private readonly StreamWriter _file;
    private readonly LaunchConsole _console;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, ILogger> _loggers = new(StringComparer.Ordinal);
    private readonly Lock _writing = new();

    public SidecarLog(string file, LaunchConsole console, TimeProvider time)
    {
        FilePath = file;
        _file = new StreamWriter(new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
        (_console, _time) = (console, time);
    }

    public string FilePath { get; }

    public ILogger CreateLogger(string categoryName) => _loggers.GetOrAdd(categoryName, name => new Logger(this, name));

    public void Dispose()
    {
        lock (_writing)
            _file.Dispose();
    }

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var now = _time.GetLocalNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
        var text = $"{now} {level} {category} {message}{(exception is null ? "" : Environment.NewLine + exception)}";
        lock (_writing)
        {
            if (!_file.BaseStream.CanWrite)
                return;
            try
            {
                _file.WriteLine(text);
            }
            catch (IOException)
            {
                // The disk is full: what is logged must not fail for it.
            }
        }

        if (level >= LogLevel.Error)
            _console.App("sidecar", exception is null ? message : $"{message} ({exception.GetType().Name}: {exception.Message})");
    }

    private sealed class Logger(SidecarLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        /// <summary>The servers' own life is told on the console already.</summary>
        private readonly LogLevel _minimum = category.StartsWith("Microsoft.", StringComparison.Ordinal) ? LogLevel.Warning : LogLevel.Information;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= _minimum && logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                log.Write(logLevel, category, formatter(state, exception), exception);
        }
    }
}
