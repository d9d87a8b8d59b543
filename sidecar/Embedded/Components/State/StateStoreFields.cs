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

    /// <summary>The keys with which daprd encrypts values before they reach the store.</summary>
    public static IReadOnlyList<string> Encryption { get; } = ["primaryEncryptionKey", "secondaryEncryptionKey"];

    public static IReadOnlyList<string> Common { get; } =
        [KeyPrefix, ActorStateStore, OutboxPublishPubSub, OutboxPublishTopic, OutboxPubSub, OutboxDiscardWhenMissingState];
}
