using System.Globalization;
using EmbeddedSidecar.Formats;
using RabbitMQ.Client;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>
/// The metadata of <c>pubsub.rabbitmq</c> but for those of the connection; names and defaults are Dapr's (components-contrib, pubsub/rabbitmq/metadata.go).
/// </summary>
internal sealed record RabbitMqPubSubOptions
{
    private const string ConcurrencyMode = "concurrencyMode";

    /// <summary>A field of daprd's that only its name has survived of.</summary>
    private const string Concurrency = "concurrency";

    private static readonly string[] ExchangeKinds = [ExchangeType.Fanout, ExchangeType.Topic, ExchangeType.Direct, ExchangeType.Headers];

    /// <summary>The longest that RabbitMQ lets a message live, if it does not live for ever.</summary>
    public static readonly TimeSpan LongestTimeToLive = TimeSpan.FromMilliseconds(uint.MaxValue);

    /// <summary><c>durable</c>: exchanges and queues survive a restart of the broker.</summary>
    public bool Durable { get; init; } = true;

    /// <summary><c>deletedWhenUnused</c>: a queue goes with its last subscription, and what is in it.</summary>
    public bool DeletedWhenUnused { get; init; } = true;

    /// <summary><c>autoAck</c>: a message is done when it was sent to the sidecar.</summary>
    public bool AutoAck { get; init; }

    /// <summary><c>requeueInFailure</c>: a message that failed comes again at once; otherwise it is gone, unless <see cref="DeadLetters"/>.</summary>
    public bool RequeueInFailure { get; init; }

    /// <summary><c>deliveryMode</c> 2: messages survive a restart of the broker.</summary>
    public bool Persistent { get; init; }

    /// <summary><c>prefetchCount</c>: messages of a subscription that are under way at once; 0: all that there are.</summary>
    public byte PrefetchCount { get; init; }

    /// <summary><c>reconnectWaitSeconds</c>: after a loss of the connection.</summary>
    public TimeSpan ReconnectWait { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary><c>maxLen</c>: of a queue, in messages; 0: any.</summary>
    public long MaxLength { get; init; }

    /// <summary><c>maxLenBytes</c>: of a queue; 0: any.</summary>
    public long MaxLengthBytes { get; init; }

    public string ExchangeKind { get; init; } = ExchangeType.Fanout;

    /// <summary><c>publisherConfirm</c>: a message is published when the broker has it.</summary>
    public bool PublisherConfirm { get; init; }

    /// <summary><c>enableDeadLetter</c>: what failed goes to a queue beside its own, by RabbitMQ's means.</summary>
    public bool DeadLetters { get; init; }

    /// <summary><c>concurrencyMode</c> single: a subscription handles one message at a time, in order.</summary>
    public bool OneByOne { get; init; }

    /// <summary><c>ttlInSeconds</c>: how long a message waits in a queue; null: for ever.</summary>
    public TimeSpan? TimeToLive { get; init; }

    /// <summary><c>publishMessagePropertiesToMetadata</c>: applications see the message's properties and headers.</summary>
    public bool PropertiesToMetadata { get; init; }

    public static IReadOnlyList<string> Fields { get; } =
    [
        .. RabbitMqConnection.Fields, .. PubSubFields.Common, "durable", "deletedWhenUnused", "autoAck", "requeueInFailure", "deliveryMode", "prefetchCount",
        "reconnectWaitSeconds", "maxLen", "maxLenBytes", "exchangeKind", "publisherConfirm", "enableDeadLetter", ConcurrencyMode, Concurrency, "ttlInSeconds", "ttl",
        "publishMessagePropertiesToMetadata",
    ];

    public static RabbitMqPubSubOptions Read(ComponentMetadata metadata, ILogger logger)
    {
        var options = new RabbitMqPubSubOptions();
        options = options with
        {
            Durable = metadata.Boolean("durable", options.Durable),
            DeletedWhenUnused = metadata.Boolean("deletedWhenUnused", options.DeletedWhenUnused),
            AutoAck = metadata.Boolean("autoAck", false),
            RequeueInFailure = metadata.Boolean("requeueInFailure", false),
            Persistent = Number(metadata, "deliveryMode", 2) == (int)DeliveryModes.Persistent,
            PrefetchCount = (byte)Number(metadata, "prefetchCount", byte.MaxValue),
            ReconnectWait = metadata.Duration("reconnectWaitSeconds", options.ReconnectWait, TimeSpan.FromSeconds(1)),
            MaxLength = Number(metadata, "maxLen", long.MaxValue),
            MaxLengthBytes = Number(metadata, "maxLenBytes", long.MaxValue),
            ExchangeKind = metadata.Text("exchangeKind", options.ExchangeKind),
            PublisherConfirm = metadata.Boolean("publisherConfirm", false),
            DeadLetters = metadata.Boolean("enableDeadLetter", false),
            OneByOne = metadata.Text(ConcurrencyMode, "parallel") switch
            {
                "single" => true,
                "parallel" => false,
                _ => throw metadata.Invalid(ConcurrencyMode, "single or parallel"),
            },
            TimeToLive = ReadTimeToLive(metadata),
            PropertiesToMetadata = metadata.Boolean("publishMessagePropertiesToMetadata", false),
        };
        if (metadata.Text(Concurrency) is { Length: > 0 })
            logger.LogWarning("{Location}: concurrency does nothing, here as on daprd; the field is concurrencyMode", metadata.LocationOf(Concurrency));
        if (!ExchangeKinds.Contains(options.ExchangeKind))
            throw metadata.Invalid("exchangeKind", string.Join(", ", ExchangeKinds));
        return options.ReconnectWait >= TimeSpan.Zero ? options : throw metadata.Invalid("reconnectWaitSeconds", "0 or more");
    }

    /// <summary>A Go duration, where below zero is zero, or a number of seconds above zero (components-contrib, metadata/utils.go, TryGetTTL).</summary>
    public static bool TryParseTimeToLive(string text, out TimeSpan timeToLive)
    {
        if (GoDuration.TryParse(text, out timeToLive))
        {
            timeToLive = timeToLive < TimeSpan.Zero ? TimeSpan.Zero : timeToLive;
            return true;
        }

        var isNumber = long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds) && seconds > 0;
        timeToLive = seconds > LongestTimeToLive.TotalSeconds ? TimeSpan.MaxValue : TimeSpan.FromSeconds(seconds);
        return isNumber;
    }

    private static TimeSpan? ReadTimeToLive(ComponentMetadata metadata)
    {
        var field = metadata.Text("ttl") is null ? "ttlInSeconds" : "ttl";
        if (metadata.Text(field) is not { Length: > 0 } text)
            return null;
        return TryParseTimeToLive(text, out var timeToLive) && timeToLive <= LongestTimeToLive
            ? timeToLive
            : throw metadata.Invalid(field, $"a duration or a number of seconds above 0, at most {LongestTimeToLive.TotalSeconds:0} s (RabbitMQ's longest)");
    }

    private static long Number(ComponentMetadata metadata, string field, long most)
    {
        if (metadata.Text(field) is not { Length: > 0 } text)
            return 0;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= most
            ? number
            : throw metadata.Invalid(field, most == long.MaxValue ? "a whole number, 0 or more" : $"a whole number from 0 to {most}");
    }
}
