namespace EmbeddedSidecar.Api.PubSub;

/// <summary>Metadata of a publish call or of a subscription. Names are compared without case, but for rawPayload.</summary>
internal static class MetadataFields
{
    private const string RawPayload = "rawPayload";

    public static string? Find(IReadOnlyDictionary<string, string>? metadata, string name)
    {
        if (metadata is not null)
        {
            foreach (var (key, value) in metadata)
            {
                if (key.Equals(name, StringComparison.OrdinalIgnoreCase))
                    return value;
            }
        }

        return null;
    }

    /// <exception cref="ApiException">The value is none that Go reads as true or false.</exception>
    public static bool IsRawPayload(string pubsub, IReadOnlyDictionary<string, string>? metadata) => metadata?.GetValueOrDefault(RawPayload) switch
    {
        null or "" or "0" or "f" or "F" or "false" or "False" or "FALSE" => false,
        "1" or "t" or "T" or "true" or "True" or "TRUE" => true,
        var value => throw PubSubErrors.RawPayloadInvalid(pubsub, RawPayload, value),
    };
}

/// <summary>Content types as components-contrib compares them: without case, without what follows a semicolon.</summary>
internal static class MediaTypes
{
    public static bool Is(string? contentType, string mediaType)
    {
        var value = contentType.AsSpan();
        var end = value.IndexOf(';');
        return (end < 0 ? value : value[..end]).Equals(mediaType, StringComparison.OrdinalIgnoreCase);
    }

    public static bool IsText(string? contentType) =>
        contentType is not null && (contentType.StartsWith("text/", StringComparison.OrdinalIgnoreCase) || Is(contentType, "application/xml"));
}
