using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing;

/// <summary>Settings of the event store, section <c>EventStore</c>.</summary>
public sealed record EventStoreOptions
{
    public string StateStore { get; init; } = "statestore";

    public string PubSub { get; init; } = "pubsub";

    /// <summary>The CloudEvents' source, by which consumers find the publisher's log: the app id.</summary>
    public string AppId { get; init; } = "app";

    /// <summary>Names the running instance: one that starts again under its name takes its lane back at once, without waiting for the lease.</summary>
    public string Instance { get; init; } = Environment.MachineName;

    /// <summary>
    /// Null: decided from the store's type, as the sidecar's metadata names it. <c>Separate</c> is right on every store, <c>Atomic</c> refused
    /// where transactions are not known to roll back.
    /// </summary>
    public BatchWrites? BatchWrites { get; init; }

    /// <summary>How long an instance may be silent before another takes over its lane; at least twice <see cref="CallTimeout"/>.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long an instance may keep to itself what it has committed: other instances read its lane no further, and after a crash what was published
    /// meanwhile is published again. At most an eighth of <see cref="Lease"/>. It itself answers for all it has committed at once.
    /// </summary>
    public TimeSpan HeadInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>One call of the sidecar; afterwards its outcome is unknown.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a command waits for its commit before it answers "unavailable".</summary>
    public TimeSpan CommitTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Commands that may be at work or wait at once; one more is refused (503).</summary>
    public int QueueLimit { get; init; } = 10_000;

    /// <summary>Bytes of tips that may wait for their commit; while there are more, commands are refused (503).</summary>
    public int QueueBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>How long a call of the sidecar waits for other commands that are at work and could go with it. A command by itself waits for nobody.</summary>
    public TimeSpan GatherTime { get; init; } = TimeSpan.FromMilliseconds(3);

    /// <summary>Streams in one commit. 1 switches group commit off: each command is a commit by itself.</summary>
    public int MaxBatch { get; init; } = 256;

    /// <summary>Bytes of tips in one commit, and of one tip: below gRPC's limit of 4 MiB with room for the segment.</summary>
    public int MaxBatchBytes { get; init; } = 2 * 1024 * 1024;

    /// <summary>Latest events of the lane that are kept in memory, for the publication and for readers of the log, and their bytes; what exceeds either is read back.</summary>
    public int RelayBuffer { get; init; } = 10_000;

    public int RelayBufferBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>An event that the broker refuses so often, while it takes others, is parked.</summary>
    public int PublishAttempts { get; init; } = 5;

    /// <summary>Parked events of the service; one more is not parked, and its lane waits.</summary>
    public int MaxParked { get; init; } = 1_000;

    /// <summary>A tip with more events, or with more bytes of events than <see cref="TipBytes"/>, moves the older ones to a page.</summary>
    public int TipEvents { get; init; } = 32;

    public int TipBytes { get; init; } = 32 * 1024;

    /// <summary>An event with a larger payload is refused: with its envelope it stays below the 1 MiB that NATS and Kafka take by default.</summary>
    public int MaxEventBytes { get; init; } = 1_000_000;

    internal Chunks Chunks { get; init; } = new();
}
