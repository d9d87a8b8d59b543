using System.Globalization;
using EmbeddedSidecar.Components.Redis;

namespace EmbeddedSidecar.Components.PubSub.Redis;

/// <summary>The metadata of <c>pubsub.redis</c>; names and defaults are Dapr's (common/component/redis/settings.go).</summary>
internal sealed record RedisPubSubOptions
{
    private const string RedeliverEvery = "redeliverInterval";

    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);

    /// <summary><c>concurrency</c>: messages that one application handles at once, over all its topics.</summary>
    public int Concurrency { get; init; } = 10;

    /// <summary><c>queueDepth</c>: messages taken from a stream at once.</summary>
    public int QueueDepth { get; init; } = 100;

    /// <summary><c>processingTimeout</c>: what was handed out longer ago and is not acknowledged is handed out again; zero: never.</summary>
    public TimeSpan ProcessingTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary><c>redeliverInterval</c>: how often that is looked for; zero: never.</summary>
    public TimeSpan RedeliverInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary><c>maxLenApprox</c>: about how many messages a stream keeps, read or not; zero: all.</summary>
    public int MaxLength { get; init; }

    /// <summary><c>streamTTL</c>: how long a stream keeps a message, read or not; zero: for ever.</summary>
    public TimeSpan TimeToLive { get; init; }

    public bool Redelivers => ProcessingTimeout > TimeSpan.Zero && RedeliverInterval > TimeSpan.Zero;

    public static IReadOnlyList<string> Fields { get; } =
    [
        .. RedisConnection.Fields, .. PubSubFields.Common, "concurrency", "queueDepth", "processingTimeout", RedeliverEvery, "maxLenApprox", "streamTTL",
    ];

    public static RedisPubSubOptions Read(ComponentMetadata metadata, ILogger logger)
    {
        var options = new RedisPubSubOptions();
        options = options with
        {
            Concurrency = metadata.Number("concurrency", options.Concurrency),
            QueueDepth = metadata.Number("queueDepth", options.QueueDepth),
            ProcessingTimeout = metadata.Duration("processingTimeout", options.ProcessingTimeout, Millisecond),
            RedeliverInterval = ReadRedeliverInterval(metadata, options.RedeliverInterval, logger),
            MaxLength = metadata.Number("maxLenApprox", 0),
            TimeToLive = metadata.Duration("streamTTL", TimeSpan.Zero, Millisecond),
        };
        if (options is { MaxLength: > 0, TimeToLive.Ticks: > 0 })
            logger.LogWarning("{Location}: with maxLenApprox streamTTL does nothing, here as on daprd; give one of them", metadata.LocationOf("streamTTL"));
        if (!options.Redelivers)
            logger.LogWarning("{Location}: without processingTimeout and redeliverInterval, what a process had in hand when it died never comes again", metadata.LocationOf(RedeliverEvery));
        return options switch
        {
            { Concurrency: < 1 } => throw metadata.Invalid("concurrency", "1 or more"),
            { QueueDepth: < 1 } => throw metadata.Invalid("queueDepth", "1 or more"),
            _ => options,
        };
    }

    /// <summary>As recorded, daprd takes plain milliseconds here and passes over a duration: so does this, and says it.</summary>
    private static TimeSpan ReadRedeliverInterval(ComponentMetadata metadata, TimeSpan defaultValue, ILogger logger)
    {
        if (metadata.Text(RedeliverEvery) is not { Length: > 0 } text)
            return defaultValue;
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var milliseconds))
            return milliseconds * Millisecond;
        logger.LogWarning(
            "{Location}: redeliverInterval is \"{Value}\", which Dapr ignores: it is {Default} ms. Give it as a plain number of milliseconds.",
            metadata.LocationOf(RedeliverEvery), text, defaultValue.TotalMilliseconds);
        return defaultValue;
    }
}
