namespace EmbeddedSidecar.Components.State;

/// <summary>The metadata fields that daprd itself reads on every state store.</summary>
internal static class StateStoreFields
{
    public const string KeyPrefix = "keyPrefix";
    public const string ActorStateStore = "actorStateStore";

    public static IReadOnlyList<string> Common { get; } = [KeyPrefix, ActorStateStore];
}
