namespace EmbeddedSidecar.Components.PubSub;

/// <summary>Metadata fields that daprd itself reads of every pub/sub component.</summary>
internal static class PubSubFields
{
    public static IReadOnlyList<string> Common { get; } = ["consumerID", "publishingScopes", "subscriptionScopes", "allowedTopics", "protectedTopics"];
}
