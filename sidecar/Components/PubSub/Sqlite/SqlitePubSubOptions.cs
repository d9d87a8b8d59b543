namespace DaprOrders.Sidecar.Components.PubSub.Sqlite;

/// <summary>The metadata of a pubsub.sqlite component.</summary>
public sealed record SqlitePubSubOptions
{
    /// <summary>The database file, absolute or from the working directory; created when missing. One process at a time may use it.</summary>
    public required string Path { get; init; }

    /// <summary><c>concurrency</c>: messages of one subscription that are handled at once when they are delivered one by one.</summary>
    public int Concurrency { get; init; } = 100;

    /// <summary><c>redeliverInterval</c>: how long a failed message rests before it is delivered again.</summary>
    public TimeSpan RedeliverInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Messages of one consumer that may be open (being handled, or resting after a failure) before it gets no new ones.</summary>
    public int MaxUnfinished { get; init; } = 1000;

    public static SqlitePubSubOptions Read(ComponentMetadata metadata)
    {
        var path = metadata.Required("connectionString");
        if (path.StartsWith("file:", StringComparison.OrdinalIgnoreCase))
            path = path["file:".Length..];
        if (path.Contains('?', StringComparison.Ordinal) || path.Contains(":memory:", StringComparison.OrdinalIgnoreCase))
            throw metadata.Invalid("connectionString", "the path of a file, without parameters (for messages in memory there is pubsub.in-memory)");

        var options = new SqlitePubSubOptions { Path = path };
        options = options with
        {
            Concurrency = metadata.Number("concurrency", options.Concurrency),
            RedeliverInterval = metadata.Duration("redeliverInterval", options.RedeliverInterval, TimeSpan.FromMilliseconds(1)),
        };
        return options switch
        {
            { Concurrency: < 1 } => throw metadata.Invalid("concurrency", "1 or more"),
            { RedeliverInterval.Ticks: <= 0 } => throw metadata.Invalid("redeliverInterval", "longer than nothing, for instance \"5s\""),
            _ => options,
        };
    }
}
