using System.Globalization;
using RabbitMQ.Client;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>
/// Where the messages of a subscription wait: the queue <c>{consumer}-{topic}</c>, bound to the exchange of its topic, as daprd lays them out
/// (components-contrib, pubsub/rabbitmq/rabbitmq.go, prepareSubscription). Replicas share it.
/// </summary>
internal sealed class RabbitMqQueue
{
    private const string MaxPriority = "maxPriority";
    private const string QueueType = "queueType";
    private const string MaxLength = "maxLen";
    private const string MaxLengthBytes = "maxLenBytes";

    private readonly string _topic;
    private readonly RabbitMqPubSubOptions _options;
    private readonly IReadOnlyList<string> _routingKeys;
    private readonly Dictionary<string, object?> _arguments;

    /// <exception cref="ArgumentException">The metadata of the subscription cannot be used.</exception>
    public RabbitMqQueue(TopicSubscription subscription, RabbitMqPubSubOptions options)
    {
        (_topic, _options) = (subscription.Topic, options);
        Name = Value(subscription, "queueName") ?? $"{subscription.ConsumerId}-{subscription.Topic}";
        _routingKeys = (Value(subscription, RabbitMqPublisher.RoutingKey) ?? "").Split(',');
        _arguments = Limits();
        if (options.DeadLetters)
            _arguments[Headers.XDeadLetterExchange] = DeadLetterExchange;
        if (Number(subscription, MaxPriority) is { } priority)
            _arguments[Headers.XMaxPriority] = (byte)Math.Min(priority, byte.MaxValue);
        _arguments[Headers.XQueueType] = Value(subscription, QueueType) switch
        {
            null => "classic",
            var type when type is "classic" or "quorum" => type,
            var other => throw Unusable(subscription, QueueType, "classic or quorum", other),
        };
        if (Value(subscription, "singleActiveConsumer") is { } single && ComponentMetadata.IsTruthy(single))
            _arguments[Headers.XSingleActiveConsumer] = true;
        if (Number(subscription, MaxLengthBytes) is { } bytes)
            _arguments[Headers.XMaxLengthInBytes] = bytes;
        if (Number(subscription, MaxLength) is { } length)
            _arguments[Headers.XMaxLength] = length;
    }

    public string Name { get; }

    private string DeadLetterExchange => $"dlx-{Name}";

    private string DeadLetterQueue => $"dlq-{Name}";

    /// <summary>Makes what is missing; what is there must be alike.</summary>
    public async Task DeclareAsync(IChannel channel, CancellationToken cancellationToken)
    {
        var isDeleted = _options.DeletedWhenUnused;
        await channel.ExchangeDeclareAsync(_topic, _options.ExchangeKind, _options.Durable, isDeleted, cancellationToken: cancellationToken);
        if (_options.DeadLetters)
        {
            await channel.ExchangeDeclareAsync(DeadLetterExchange, ExchangeType.Fanout, durable: true, isDeleted, cancellationToken: cancellationToken);
            var arguments = Limits();
            arguments[Headers.XQueueMode] = "lazy";
            await channel.QueueDeclareAsync(DeadLetterQueue, durable: true, exclusive: false, isDeleted, arguments, cancellationToken: cancellationToken);
            await channel.QueueBindAsync(DeadLetterQueue, DeadLetterExchange, "", cancellationToken: cancellationToken);
        }

        await channel.QueueDeclareAsync(Name, _options.Durable, exclusive: false, isDeleted, _arguments, cancellationToken: cancellationToken);
        foreach (var key in _routingKeys)
            await channel.QueueBindAsync(Name, _topic, key, cancellationToken: cancellationToken);
    }

    private Dictionary<string, object?> Limits()
    {
        var limits = new Dictionary<string, object?>();
        if (_options.MaxLength > 0)
            limits[Headers.XMaxLength] = _options.MaxLength;
        if (_options.MaxLengthBytes > 0)
            limits[Headers.XMaxLengthInBytes] = _options.MaxLengthBytes;
        return limits;
    }

    private static string? Value(TopicSubscription subscription, string name) =>
        subscription.Metadata.TryGetValue(name, out var value) && value.Length > 0 ? value : null;

    private static long? Number(TopicSubscription subscription, string name) =>
        Value(subscription, name) is not { } text ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw Unusable(subscription, name, "a whole number, 0 or more", text);

    private static ArgumentException Unusable(TopicSubscription subscription, string name, string expected, string value) =>
        new($"metadata '{name}' of the subscription to topic {subscription.Topic} must be {expected}, but is \"{value}\"");
}
