namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>The metadata of a pubsub.sqlite component.</summary>
internal sealed record SqlitePubSubOptions
{
    /// <summary>The database file, absolute or from the working directory; created when missing. One process at a time may use it.</summary>
    public required string Path { get; init; }

    /// <summary><c>concurrency</c>: messages of one subscription that are handled at once when they are delivered one by one.</summary>
    public int Concurrency { get; init; } = 100;

    /// <summary><c>redeliverInterval</c>: how long a failed message rests before it is delivered again.</summary>
    public TimeSpan RedeliverInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Messages of one consumer that may be open (being handled, or resting after a failure) before it gets no new ones.</summary>
    public int MaxUnfinished { get; init; } = 1000;

    /// <summary>
    /// <c>forgetConsumers</c>: who will not come back, as <c>consumer</c> or <c>consumer/topic</c>, separated by commas. They are forgotten at
    /// the start, with the messages that were kept for nobody else. One that subscribes again begins anew.
    /// </summary>
    public IReadOnlyList<string> ForgetConsumers { get; init; } = [];

    /// <summary>Pages of 4 KiB that the database may take; 0: as many as the disk has.</summary>
    public int MaxPages { get; init; }

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
            ForgetConsumers = metadata.Text("forgetConsumers", "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
        };
        return options switch
        {
            { Concurrency: < 1 } => throw metadata.Invalid("concurrency", "1 or more"),
            { RedeliverInterval.Ticks: <= 0 } => throw metadata.Invalid("redeliverInterval", "longer than nothing, for instance \"5s\""),
            _ => options,
        };
    }
}
