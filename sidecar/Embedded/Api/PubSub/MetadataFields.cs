namespace EmbeddedSidecar.Api.PubSub;

/// <summary>Metadata of a publish call or of a subscription; its names are compared without case.</summary>
internal static class MetadataFields
{
    public static string? Find(IReadOnlyDictionary<string, string>? metadata, string name) => Field(metadata, name)?.Value;

    /// <exception cref="ApiException">The value is none that Go reads as true or false.</exception>
    public static bool IsRawPayload(string pubsub, IReadOnlyDictionary<string, string>? metadata) => Field(metadata, "rawPayload") switch
    {
        null or { Value: "0" or "f" or "F" or "false" or "False" or "FALSE" } => false,
        { Value: "1" or "t" or "T" or "true" or "True" or "TRUE" } => true,
        var (name, value) => throw PubSubErrors.RawPayloadInvalid(pubsub, name, value),
    };

    private static (string Name, string Value)? Field(IReadOnlyDictionary<string, string>? metadata, string name)
    {
        if (metadata is not null)
        {
            foreach (var (key, value) in metadata)
            {
                if (key.Equals(name, StringComparison.OrdinalIgnoreCase))
                    return (key, value);
            }
        }

        return null;
    }
}

/// <summary>Content types as components-contrib compares them: without case, without what follows a semicolon.</summary>
internal static class MediaTypes
{
    public static bool Is(string? contentType, string mediaType)
    {
        var value = contentType.AsSpan();
        var end = value.IndexOf(';');
        return (end < 0 ? value : value[..end]).Trim().Equals(mediaType, StringComparison.OrdinalIgnoreCase);
    }

    public static bool IsText(string? contentType) =>
        contentType is null or "" || contentType.StartsWith("text/", StringComparison.OrdinalIgnoreCase) || Is(contentType, "application/xml");
}
