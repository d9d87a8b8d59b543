namespace EmbeddedSidecar.Components.State;

/// <summary>The metadata fields that daprd itself reads on every state store.</summary>
internal static class StateStoreFields
{
    public const string KeyPrefix = "keyPrefix";
    public const string ActorStateStore = "actorStateStore";
    public const string OutboxPublishPubSub = "outboxPublishPubsub";
    public const string OutboxPublishTopic = "outboxPublishTopic";
    public const string OutboxPubSub = "outboxPubsub";
    public const string OutboxDiscardWhenMissingState = "outboxDiscardWhenMissingState";

    private static readonly string[] RefusedKeys = ["primaryEncryptionKey", "secondaryEncryptionKey"];

    /// <summary>The keys with which daprd encrypts values before they reach the store.</summary>
    public static IReadOnlyList<string> Refused => RefusedKeys;

    public static IReadOnlyList<string> Common { get; } =
        [KeyPrefix, ActorStateStore, OutboxPublishPubSub, OutboxPublishTopic, OutboxPubSub, OutboxDiscardWhenMissingState];
}
