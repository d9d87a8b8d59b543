using Microsoft.Extensions.Logging.Abstractions;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// What the web server inside a sidecar may log: warnings and worse. Its log of each request is off whatever the settings, since only its being
/// there makes the server start an activity for every call. A caller that goes away is no failure of the sidecar, though gRPC's server says so.
/// </summary>
internal sealed class ServerLogs(ILoggerFactory inner) : ILoggerFactory
{
    private const string EachRequest = "Microsoft.AspNetCore.Hosting.Diagnostics";

    public ILogger CreateLogger(string categoryName) =>
        categoryName == EachRequest ? NullLogger.Instance : new WarningsAndWorse(inner.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    /// <summary>The factory inside belongs to somebody else.</summary>
    public void Dispose()
    {
    }

    private sealed class WarningsAndWorse(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning && inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel) && exception is not OperationCanceledException)
                inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
