namespace DaprOrders.Console;

/// <summary>Section <c>Console</c> of the settings.</summary>
public sealed class ConsoleOptions
{
    /// <summary>Whether there is a page that places orders. Null: in the environment Development.</summary>
    public bool? TryIt { get; set; }

    /// <summary>Where a trace can be looked at, with <c>{traceId}</c> in it: <c>http://localhost:16686/trace/{traceId}</c>.</summary>
    public string? TraceViewer { get; set; }

    public string? TraceAddress(string traceId) => TraceViewer?.Replace("{traceId}", traceId, StringComparison.Ordinal);
}
