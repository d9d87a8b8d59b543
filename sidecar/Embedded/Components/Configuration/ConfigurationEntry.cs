namespace EmbeddedSidecar.Components.Configuration;

/// <summary>What a key of a configuration store has; null where there is nothing.</summary>
internal sealed record ConfigurationEntry(string? Value, string? Version)
{
    public static ConfigurationEntry None { get; } = new(null, null);
}
