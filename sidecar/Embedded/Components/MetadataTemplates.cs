namespace EmbeddedSidecar.Components;

/// <summary>The placeholders that Dapr replaces in metadata values (pkg/runtime/meta): {uuid}, {appID}, {namespace}, {podName}.</summary>
internal sealed class MetadataTemplates(string appId, string @namespace)
{
    public string Expand(string value)
    {
        if (!value.Contains('{', StringComparison.Ordinal))
            return value;

        value = value.Replace("{appID}", appId, StringComparison.Ordinal).Replace("{namespace}", $"{@namespace}.{appId}", StringComparison.Ordinal);
        return value.Contains("{uuid}", StringComparison.Ordinal) ? value.Replace("{uuid}", Guid.NewGuid().ToString(), StringComparison.Ordinal) : value;
    }
}
