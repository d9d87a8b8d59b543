namespace DaprOrders.Console;

/// <summary>Section <c>Console</c> of the settings.</summary>
public sealed class ConsoleOptions
{
    /// <summary>Whether there is a page that places orders. Null: in the environment Development.</summary>
    public bool? TryIt { get; set; }

    /// <summary>Where a trace can be looked at, with <c>{traceId}</c> in it: <c>http://localhost:16686/trace/{traceId}</c>.</summary>
    public string? TraceViewer { get; set; }

    /// <summary>As whom the provider at <c>Auth:Authority</c> knows the console; required where that is set.</summary>
    public string? ClientId { get; set; }

    /// <summary>Only for a provider that wants one of its client: the code is bound to the sign-in by PKCE anyway.</summary>
    public string? ClientSecret { get; set; }

    /// <summary>What is asked for beyond openid and profile, separated by spaces: with many providers a scope of the services, so that the token is for them.</summary>
    public string? Scope { get; set; }

    public string? TraceAddress(string traceId) => TraceViewer?.Replace("{traceId}", traceId, StringComparison.Ordinal);
}
