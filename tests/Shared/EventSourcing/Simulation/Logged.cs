using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>What event stores told.</summary>
internal sealed class Logged(LogLevel least) : ILogger<EventStore>
{
    public List<string> Messages { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            Messages.Add($"{formatter(state, exception)} {exception?.Message}");
        }
    }
}
