using System.Globalization;
using EmbeddedSidecar.Formats;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace EmbeddedSidecar.Components.PubSub.JetStream;

/// <summary>
/// The metadata of <c>pubsub.jetstream</c>; names and defaults are Dapr's (components-contrib, pubsub/jetstream/metadata.go). A plain number for a
/// duration is seconds (dapr/kit). What is zero or empty is left to the server.
/// </summary>
internal sealed record JetStreamPubSubOptions
{
    private const string DefaultName = "dapr.io - pubsub.jetstream";
    private const string PemBegins = "-----BEGIN";

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Tried again for as long as it takes. Ids and topics may be of any letters: in ASCII two of them could become one, and be taken for a duplicate.
    /// </summary>
    public NatsOpts Connection { get; init; } = NatsOpts.Default with
    {
        MaxReconnectRetry = -1,
        IgnoreAuthErrorAbort = true,
        ReconnectWaitMin = TimeSpan.FromMilliseconds(100),
        ReconnectWaitMax = TimeSpan.FromSeconds(2),
        HeaderEncoding = System.Text.Encoding.UTF8,
    };

    /// <summary>What requests to JetStream begin with: <c>apiPrefix</c>, or that of the <c>domain</c>; null: the default.</summary>
    public string? ApiPrefix { get; init; }

    /// <summary><c>streamName</c>; null: the one that takes the topic.</summary>
    public string? StreamName { get; init; }

    /// <summary><c>durableName</c> to <c>ackPolicy</c>; the topic and where to deliver are not in it.</summary>
    public ConsumerConfig Consumer { get; init; } = new();

    /// <summary><c>concurrencyMode</c>, or <c>concurrency</c>: false: single.</summary>
    public bool IsParallel { get; init; }

    public bool Acknowledges => Consumer.AckPolicy != ConsumerConfigAckPolicy.None;

    public static IReadOnlyList<string> Fields { get; } =
    [
        .. PubSubFields.Common, "natsURL", "jwt", "seedKey", "token", "tls_client_cert", "tls_client_key", "name", "streamName", "durableName", "queueGroupName",
        "startSequence", "startTime", "flowControl", "ackWait", "maxDeliver", "backOff", "maxAckPending", "replicas", "memoryStorage", "rateLimit", "heartbeat",
        "deliverPolicy", "ackPolicy", "domain", "apiPrefix", "concurrency", "concurrencyMode",
    ];

    public static JetStreamPubSubOptions Read(ComponentMetadata metadata, ILogger logger)
    {
        var options = new JetStreamPubSubOptions
        {
            ApiPrefix = ReadApiPrefix(metadata),
            StreamName = Optional(metadata, "streamName"),
            Consumer = ReadConsumer(metadata),
            IsParallel = ReadConcurrency(metadata),
        };
        WarnOfWhatLoses(options, metadata, logger);
        return options with { Connection = ReadConnection(metadata, options.Connection) };
    }

    private static NatsOpts ReadConnection(ComponentMetadata metadata, NatsOpts defaults)
    {
        var (jwt, seed) = Pair(metadata, "jwt", "seedKey");
        var (certificate, key) = Pair(metadata, "tls_client_cert", "tls_client_key");
        return defaults with
        {
            Url = metadata.Required("natsURL"),
            Name = metadata.Text("name", DefaultName),
            // As daprd, of several ways to tell who we are the first.
            AuthOpts = jwt is not null ? new() { Jwt = jwt, Seed = seed }
                : certificate is null && Optional(metadata, "token") is { } token ? new() { Token = token }
                : NatsAuthOpts.Default,
            TlsOpts = jwt is null && certificate is not null ? ClientCertificate(certificate, key!) : NatsTlsOpts.Default,
        };
    }

    /// <summary>daprd takes the paths of two files, Dapr's documents say that it is the PEM texts: here it is what it is.</summary>
    private static NatsTlsOpts ClientCertificate(string certificate, string key)
    {
        if (!certificate.TrimStart().StartsWith(PemBegins, StringComparison.Ordinal))
            return new() { CertFile = certificate, KeyFile = key };
        // SslStream on Windows wants a key that is in a container.
        using var pem = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(certificate, key);
        var loaded = System.Security.Cryptography.X509Certificates.X509CertificateLoader.LoadPkcs12(
            pem.Export(System.Security.Cryptography.X509Certificates.X509ContentType.Pfx), null);
        return new()
        {
            ConfigureClientAuthentication = options =>
            {
                options.ClientCertificates = [loaded];
                return default;
            },
        };
    }

    private static ConsumerConfig ReadConsumer(ComponentMetadata metadata)
    {
        var consumer = new ConsumerConfig
        {
            DurableName = Optional(metadata, "durableName"),
            DeliverGroup = Optional(metadata, "queueGroupName"),
            OptStartSeq = (ulong)Long(metadata, "startSequence"),
            FlowControl = metadata.Boolean("flowControl", false),
            AckWait = metadata.Duration("ackWait", TimeSpan.Zero, Second),
            MaxDeliver = metadata.Number("maxDeliver", 0),
            Backoff = ReadBackOff(metadata),
            MaxAckPending = metadata.Number("maxAckPending", 0),
            NumReplicas = metadata.Number("replicas", 0),
            MemStorage = metadata.Boolean("memoryStorage", false),
            RateLimitBps = Long(metadata, "rateLimit"),
            IdleHeartbeat = metadata.Duration("heartbeat", TimeSpan.Zero, Second),
            DeliverPolicy = ReadDeliverPolicy(metadata),
            AckPolicy = ReadAckPolicy(metadata),
        };
        if (Optional(metadata, "startTime") is not null)
            consumer.OptStartTime = DateTimeOffset.FromUnixTimeSeconds(Long(metadata, "startTime"));
        if (consumer.FlowControl && consumer.IdleHeartbeat <= TimeSpan.Zero)
            throw metadata.Invalid("flowControl", "given together with heartbeat, since JetStream refuses it alone");
        return consumer;
    }

    private static ConsumerConfigDeliverPolicy ReadDeliverPolicy(ComponentMetadata metadata) => Optional(metadata, "deliverPolicy") switch
    {
        null or "all" => ConsumerConfigDeliverPolicy.All,
        "last" => ConsumerConfigDeliverPolicy.Last,
        "new" => ConsumerConfigDeliverPolicy.New,
        "sequence" => ConsumerConfigDeliverPolicy.ByStartSequence,
        "time" => ConsumerConfigDeliverPolicy.ByStartTime,
        _ => throw metadata.Invalid("deliverPolicy", "all, last, new, sequence or time"),
    };

    /// <summary>daprd takes any other word for explicit.</summary>
    private static ConsumerConfigAckPolicy ReadAckPolicy(ComponentMetadata metadata) => Optional(metadata, "ackPolicy") switch
    {
        null or "explicit" => ConsumerConfigAckPolicy.Explicit,
        "all" => ConsumerConfigAckPolicy.All,
        "none" => ConsumerConfigAckPolicy.None,
        _ => throw metadata.Invalid("ackPolicy", "explicit, all or none"),
    };

    /// <summary>The key that daprd reads is concurrencyMode; its documents name concurrency, which counts too where the other is not given.</summary>
    private static bool ReadConcurrency(ComponentMetadata metadata)
    {
        var name = Optional(metadata, "concurrencyMode") is null ? "concurrency" : "concurrencyMode";
        return Optional(metadata, name) switch
        {
            null or "single" => false,
            "parallel" => true,
            _ => throw metadata.Invalid(name, "single or parallel"),
        };
    }

    private static List<TimeSpan>? ReadBackOff(ComponentMetadata metadata)
    {
        if (Optional(metadata, "backOff") is not { } text)
            return null;
        var waits = new List<TimeSpan>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (long.TryParse(part, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
                waits.Add(seconds * Second);
            else if (GoDuration.TryParse(part, out var wait))
                waits.Add(wait);
            else
                throw metadata.Invalid("backOff", "durations separated by commas, such as \"50ms, 1s, 10s\"");
        }

        return waits;
    }

    private static string? ReadApiPrefix(ComponentMetadata metadata) =>
        Optional(metadata, "apiPrefix") is { } prefix ? prefix.TrimEnd('.')
        : Optional(metadata, "domain") is { } domain ? $"$JS.{domain}.API"
        : null;

    private static void WarnOfWhatLoses(JetStreamPubSubOptions options, ComponentMetadata metadata, ILogger logger)
    {
        if (options.Consumer.DurableName is null)
            logger.LogWarning(
                "{Location}: without durableName every start of a sidecar, and each of its replicas, gets the stream anew, here as on daprd", metadata.LocationOf("natsURL"));
        if (options.Consumer is { DurableName: not null, DeliverGroup: null })
            logger.LogWarning(
                "{Location}: with durableName and no queueGroupName only one replica can subscribe", metadata.LocationOf("durableName"));
        if (!options.Acknowledges)
            logger.LogWarning("{Location}: with ackPolicy none what fails, or was in hand at the end of a process, is lost", metadata.LocationOf("ackPolicy"));
        else if (options.Consumer.AckPolicy == ConsumerConfigAckPolicy.All)
            logger.LogWarning("{Location}: with ackPolicy all what failed is acknowledged together with what comes after it, and lost", metadata.LocationOf("ackPolicy"));
    }

    private static (string? First, string? Second) Pair(ComponentMetadata metadata, string first, string second)
    {
        var pair = (First: Optional(metadata, first), Second: Optional(metadata, second));
        return pair switch
        {
            (null, not null) => throw metadata.Invalid(first, $"given together with {second}"),
            (not null, null) => throw metadata.Invalid(second, $"given together with {first}"),
            _ => pair,
        };
    }

    private static long Long(ComponentMetadata metadata, string name) =>
        Optional(metadata, name) is not { } text ? 0
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw metadata.Invalid(name, "a whole number, not negative");

    private static string? Optional(ComponentMetadata metadata, string name) => metadata.Text(name) is { Length: > 0 } text ? text : null;
}
