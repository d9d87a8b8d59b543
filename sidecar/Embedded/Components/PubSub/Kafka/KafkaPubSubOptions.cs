using System.Text.RegularExpressions;
using Confluent.Kafka;

namespace EmbeddedSidecar.Components.PubSub.Kafka;

/// <summary>
/// The metadata of <c>pubsub.kafka</c>; names and defaults are Dapr's (components-contrib, common/component/kafka/metadata.go), as settings of librdkafka.
/// </summary>
internal sealed record KafkaPubSubOptions
{
    private const string InitialOffset = "initialOffset";
    private const string MaxMessageBytes = "maxMessageBytes";
    private const string ProducerRequiredAcks = "producerRequiredAcks";
    private const string RebalanceStrategy = "consumerGroupRebalanceStrategy";
    private const string SchemaRegistry = "schemaRegistryURL";

    private const int DefaultMessageBytes = 1024 * 1024;

    /// <summary>librdkafka's own, which has to hold a message at least.</summary>
    private const int FetchBytes = 50 * 1024 * 1024;

    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>A publication that is not confirmed by then has failed.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);

    /// <summary>How late a topic is noticed that is made after its subscription.</summary>
    private static readonly TimeSpan LookForTopicsEvery = TimeSpan.FromSeconds(10);

    public required ProducerConfig Producer { get; init; }

    /// <summary>But for the group.</summary>
    public required ConsumerConfig Consumer { get; init; }

    /// <summary><c>consumerGroup</c>; null: the consumer id.</summary>
    public string? Group { get; init; }

    /// <summary><c>channelBufferSize</c>: messages of a partition that wait to be handled; with more it is paused.</summary>
    public int Buffer { get; init; }

    /// <summary><c>consumeRetryEnabled</c>: a message whose handler failed is handled again, and its partition waits for it; otherwise it is skipped.</summary>
    public bool Retries { get; init; }

    /// <summary><c>backOffDuration</c>: between two of them.</summary>
    public TimeSpan RetryWait { get; init; }

    /// <summary><c>backOffMaxRetries</c>: then it is skipped; below 0: as often as it takes.</summary>
    public int MaxRetries { get; init; }

    /// <summary><c>consumeRetryInterval</c>: until a consumer that failed for good is made again.</summary>
    public TimeSpan ReopenWait { get; init; }

    /// <summary><c>escapeHeaders</c>: keys and the values of headers are escaped as in a URL.</summary>
    public bool EscapesHeaders { get; init; }

    /// <summary><c>excludeHeaderMetaRegex</c>: names of metadata and of headers that do not become the other.</summary>
    public Regex? Excluded { get; init; }

    public static IReadOnlyList<string> Fields { get; } =
    [
        .. KafkaConnection.Fields, .. PubSubFields.Common, "consumerGroup", InitialOffset, MaxMessageBytes, "consumeRetryInterval", "consumeRetryEnabled",
        "backOffPolicy", "backOffDuration", "backOffMaxRetries", "heartbeatInterval", "sessionTimeout", "version", "channelBufferSize", "consumerFetchMin",
        "consumerFetchDefault", ProducerRequiredAcks, "producerRetryMax", "compression", RebalanceStrategy, "escapeHeaders", "excludeHeaderMetaRegex",
        SchemaRegistry,
    ];

    /// <summary>OIDC, AWS and Avro; and how an exponential back-off grows, which is refused.</summary>
    public static IReadOnlyList<string> Absent { get; } =
    [
        "oidcTokenEndpoint", "oidcClientID", "oidcClientSecret", "oidcScopes", "oidcExtensions", "oidcClientAssertionCert", "oidcClientAssertionKey",
        "oidcResource", "oidcAudience", "oidcKid", .. IdentityProviders.Aws, "schemaRegistryAPIKey", "schemaRegistryAPISecret", "schemaCachingEnabled",
        "schemaLatestVersionCacheTTL", "useAvroJSON", "backOffInitialInterval", "backOffRandomizationFactor", "backOffMultiplier", "backOffMaxInterval",
        "backOffMaxElapsedTime",
    ];

    public static KafkaPubSubOptions Read(ComponentMetadata metadata, ILogger logger)
    {
        if (metadata.Text(SchemaRegistry) is { Length: > 0 })
            throw metadata.Invalid(SchemaRegistry, "left out: the embedded sidecar has no Avro");
        if (metadata.Text("backOffPolicy", "constant") != "constant")
            throw metadata.Invalid("backOffPolicy", "constant: the embedded sidecar has no other here. Resiliency policies have");
        if (metadata.Text("version") is { Length: > 0 } version && !Regex.IsMatch(version, @"^\d+(\.\d+){2,3}$"))
            throw metadata.Invalid("version", "that of Kafka's protocol, such as 2.0.0 (it is found out here, and the field does nothing)");
        var client = KafkaConnection.Read(metadata);
        return new()
        {
            Producer = ReadProducer(metadata, client, logger),
            Consumer = ReadConsumer(metadata, client, logger),
            Group = metadata.Text("consumerGroup") is { Length: > 0 } group ? group : null,
            Buffer = Number(metadata, "channelBufferSize", 256, least: 1),
            Retries = metadata.Boolean("consumeRetryEnabled", true),
            RetryWait = metadata.Duration("backOffDuration", 5 * Second, Millisecond),
            MaxRetries = metadata.Number("backOffMaxRetries", -1),
            ReopenWait = metadata.Duration("consumeRetryInterval", 100 * Millisecond, Millisecond),
            EscapesHeaders = metadata.Boolean("escapeHeaders", false),
            Excluded = ReadExcluded(metadata),
        };
    }

    private static ProducerConfig ReadProducer(ComponentMetadata metadata, ClientConfig client, ILogger logger)
    {
        var acks = metadata.Text(ProducerRequiredAcks, "all").ToUpperInvariant() switch
        {
            "ALL" => Acks.All,
            "LOCAL" => Acks.Leader,
            "NONE" => Acks.None,
            _ => throw metadata.Invalid(ProducerRequiredAcks, "all, local or none"),
        };
        if (acks != Acks.All)
            logger.LogWarning(
                "{Location}: what is published may be lost by a failure of a broker, unless producerRequiredAcks is all",
                metadata.LocationOf(ProducerRequiredAcks));
        var producer = new ProducerConfig(new Dictionary<string, string>(client))
        {
            Acks = acks,
            // What is tried again is there once, and in order.
            EnableIdempotence = acks == Acks.All,
            MessageTimeoutMs = (int)AnswerLimit.TotalMilliseconds,
            LingerMs = 0,
            MessageMaxBytes = ReadMaxMessageBytes(metadata),
            CompressionType = metadata.Text("compression", "none").ToUpperInvariant() switch
            {
                "NONE" => CompressionType.None,
                "GZIP" => CompressionType.Gzip,
                "SNAPPY" => CompressionType.Snappy,
                "LZ4" => CompressionType.Lz4,
                "ZSTD" => CompressionType.Zstd,
                _ => throw metadata.Invalid("compression", "none, gzip, snappy, lz4 or zstd"),
            },
        };
        // Unless it is given, only the time limits it: a choice of another leader may take longer than daprd's 5.
        if (metadata.Text("producerRetryMax") is { Length: > 0 })
            producer.MessageSendMaxRetries = Number(metadata, "producerRetryMax", 5, least: acks == Acks.All ? 1 : 0);
        // daprd's: a key is always in the same partition, whoever published it; without one any.
        producer.Set("partitioner", "fnv1a_random");
        return producer;
    }

    private static ConsumerConfig ReadConsumer(ComponentMetadata metadata, ClientConfig client, ILogger logger)
    {
        var strategy = metadata.Text(RebalanceStrategy, "range").ToUpperInvariant();
        if (strategy is not ("RANGE" or "ROUNDROBIN"))
            logger.LogWarning(
                "{Location}: consumerGroupRebalanceStrategy is range or roundrobin here, so it is range. A group that daprd shares must have one of these",
                metadata.LocationOf(RebalanceStrategy));
        var consumer = new ConsumerConfig(new Dictionary<string, string>(client))
        {
            AutoOffsetReset = metadata.Text(InitialOffset, "newest").ToUpperInvariant() switch
            {
                "NEWEST" => AutoOffsetReset.Latest,
                "OLDEST" => AutoOffsetReset.Earliest,
                _ => throw metadata.Invalid(InitialOffset, "newest or oldest"),
            },
            // Every second, but only what was handled (StoreOffset).
            EnableAutoCommit = true,
            EnableAutoOffsetStore = false,
            AutoCommitIntervalMs = 1000,
            AllowAutoCreateTopics = true,
            HeartbeatIntervalMs = (int)metadata.Duration("heartbeatInterval", 3 * Second, Second).TotalMilliseconds,
            SessionTimeoutMs = (int)metadata.Duration("sessionTimeout", 10 * Second, Second).TotalMilliseconds,
            PartitionAssignmentStrategy = strategy == "ROUNDROBIN" ? PartitionAssignmentStrategy.RoundRobin : PartitionAssignmentStrategy.Range,
            FetchMinBytes = Number(metadata, "consumerFetchMin", 1, least: 1),
            MaxPartitionFetchBytes = Number(metadata, "consumerFetchDefault", 1024 * 1024, least: 1),
            // Nothing is fetched long before it is handled.
            QueuedMinMessages = 1000,
            QueuedMaxMessagesKbytes = 16 * 1024,
        };
        if (metadata.Text("clientConnectionTopicMetadataRefreshInterval") is null or "")
            consumer.TopicMetadataRefreshIntervalMs = (int)LookForTopicsEvery.TotalMilliseconds;
        return consumer;
    }

    private static int ReadMaxMessageBytes(ComponentMetadata metadata)
    {
        var most = metadata.Number(MaxMessageBytes, 0);
        return most switch
        {
            // As on daprd, whose client then has this.
            <= 0 => DefaultMessageBytes,
            > FetchBytes => throw metadata.Invalid(MaxMessageBytes, $"{FetchBytes} at most"),
            // librdkafka takes no less.
            _ => Math.Max(1000, most),
        };
    }

    private static Regex? ReadExcluded(ComponentMetadata metadata)
    {
        const string Field = "excludeHeaderMetaRegex";
        try
        {
            return metadata.Text(Field) is { Length: > 0 } pattern ? new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant) : null;
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw metadata.Invalid(Field, "a regular expression");
        }
    }

    private static int Number(ComponentMetadata metadata, string field, int defaultValue, int least) =>
        metadata.Number(field, defaultValue) is var number && number >= least ? number : throw metadata.Invalid(field, $"{least} or more");
}
