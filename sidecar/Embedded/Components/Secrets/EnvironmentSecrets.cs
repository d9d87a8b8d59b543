namespace EmbeddedSidecar.Components.Secrets;

/// <summary>Which environment variables a resource may read: not the tokens, nor Dapr's own (dapr pkg/components and secretstores/local/env).</summary>
internal static class EnvironmentSecrets
{
    public static bool MayRead(string variable) =>
        !variable.Contains(' ', StringComparison.Ordinal)
        && !variable.Equals("APP_API_TOKEN", StringComparison.OrdinalIgnoreCase)
        && !variable.StartsWith("DAPR_", StringComparison.OrdinalIgnoreCase);
}
