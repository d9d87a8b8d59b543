using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.RateLimiting;
using RabbitMQ.Client;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>
/// Publishes over one channel, any number of messages at once. What could not be published is tried again, as by daprd: three times in all, and after
/// a loss of the connection not before <c>reconnectWaitSeconds</c>. A message whose confirmation was lost may so be there twice.
/// </summary>
internal sealed class RabbitMqPublisher : IAsyncDisposable
{
    public const string RoutingKey = "routingKey";

    private const string DefaultContentType = "text/plain";
    private const int Attempts = 3;

    /// <summary>The channel was closed, for what somebody else did on it as a rule.</summary>
    private static readonly TimeSpan AfterRefusal = TimeSpan.FromMilliseconds(200);

    private readonly Reopened<IConnection> _connection;
    private readonly Reopened<PublishingChannel> _channel;
    private readonly RabbitMqPubSubOptions _options;
    private readonly ComponentContext _context;

    public RabbitMqPublisher(Reopened<IConnection> connection, RabbitMqPubSubOptions options, ComponentContext context)
    {
        (_connection, _options, _context) = (connection, options, context);
        _channel = new(OpenAsync, channel => channel.IsOpen);
    }

    /// <returns>Null, or why it may not be there.</returns>
    public async Task<Exception?> TryPublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var channel = await _channel.GetAsync(cancellationToken);
                // Not cancelled: what is on its way cannot be called back, and the channel counts it.
                await channel.PublishAsync(topic, RoutingKeyOf(message), Properties(topic, message), message.Data).WaitAsync(cancellationToken);
                return null;
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                throw;
            }
            catch (Exception failure) when (attempt == Attempts || failure is ArgumentException)
            {
                return failure;
            }
            catch (Exception failure)
            {
                var wait = _connection.IsOpen ? AfterRefusal : _options.ReconnectWait;
                _context.Logger.LogWarning(
                    "A message of topic {Topic} could not be published (attempt {Attempt} of {Attempts}); tried again in {Seconds} s: {Reason}",
                    topic, attempt, Attempts, wait.TotalSeconds, failure.Message);
                await Task.Delay(wait, _context.Time, cancellationToken);
            }
        }
    }

    /// <summary>The broker takes us.</summary>
    public Task ConnectAsync(CancellationToken cancellationToken) => _channel.GetAsync(cancellationToken);

    public ValueTask DisposeAsync() => _channel.DisposeAsync();

    private static string RoutingKeyOf(BrokerMessage message) => message.Metadata?.GetValueOrDefault(RoutingKey) ?? "";

    /// <exception cref="ArgumentException">It is to live longer than RabbitMQ lets it.</exception>
    private BasicProperties Properties(string topic, BrokerMessage message)
    {
        var metadata = message.Metadata;
        var properties = new BasicProperties { ContentType = Property(metadata, "contentType") ?? DefaultContentType };
        if (_options.Persistent)
            properties.DeliveryMode = DeliveryModes.Persistent;
        if (Property(metadata, "messageID") is { } messageId)
            properties.MessageId = messageId;
        if (Property(metadata, "correlationID") is { } correlationId)
            properties.CorrelationId = correlationId;
        if (Property(metadata, "type") is { } type)
            properties.Type = type;
        if (TimeToLive(topic, metadata) is { } timeToLive)
            properties.Expiration = ((long)timeToLive.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        if (Priority(topic, metadata) is { } priority)
            properties.Priority = priority;
        return properties;
    }

    private TimeSpan? TimeToLive(string topic, IReadOnlyDictionary<string, string>? metadata)
    {
        if ((Property(metadata, "ttl") ?? Property(metadata, "ttlInSeconds")) is not { } text)
            return _options.TimeToLive;
        if (!RabbitMqPubSubOptions.TryParseTimeToLive(text, out var timeToLive))
        {
            _context.Logger.LogWarning(
                "ttl \"{Value}\" of a message of topic {Topic} is ignored: it is neither a duration nor a number of seconds above 0", text, topic);
            return _options.TimeToLive;
        }

        return timeToLive <= RabbitMqPubSubOptions.LongestTimeToLive
            ? timeToLive
            : throw new ArgumentException(
                $"ttl must be at most {RabbitMqPubSubOptions.LongestTimeToLive.TotalSeconds:0} s, RabbitMQ's longest, but is \"{text}\"; leave it out for no end");
    }

    private byte? Priority(string topic, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata?.GetValueOrDefault("priority") is not { Length: > 0 } text)
            return null;
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var priority))
            return (byte)Math.Clamp(priority, byte.MinValue, byte.MaxValue);
        _context.Logger.LogWarning("priority \"{Value}\" of a message of topic {Topic} is ignored: it is no whole number", text, topic);
        return null;
    }

    private static string? Property(IReadOnlyDictionary<string, string>? metadata, string name)
    {
        if (metadata is null)
            return null;
        var found = metadata.GetValueOrDefault(name) is { Length: > 0 } exact ? exact
            : metadata.FirstOrDefault(field => field.Value.Length > 0 && field.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
        return found;
    }

    private async Task<PublishingChannel> OpenAsync()
    {
        var connection = await _connection.GetAsync(CancellationToken.None);
        // By default the client slows the publisher down from 64 unconfirmed messages on.
        var unlimited = new ConcurrencyLimiter(new() { PermitLimit = int.MaxValue });
        var channel = await connection.CreateChannelAsync(new(_options.PublisherConfirm, _options.PublisherConfirm, unlimited));
        return new PublishingChannel(connection, channel, _options);
    }

    private sealed class PublishingChannel(IConnection connection, IChannel channel, RabbitMqPubSubOptions options) : IAsyncDisposable
    {
        private readonly ConcurrentDictionary<string, Task> _declared = [];

        public bool IsOpen => channel.IsOpen;

        public async Task PublishAsync(string topic, string routingKey, BasicProperties properties, ReadOnlyMemory<byte> data)
        {
            await DeclaredAsync(topic);
            // Meanwhile it may have gone with its last queue; publishing to an exchange that is not there closes the channel on everybody.
            if (options.DeletedWhenUnused)
                await DeclareAsync(channel, topic, noWait: true);
            await channel.BasicPublishAsync(topic, routingKey, mandatory: false, properties, data);
        }

        public ValueTask DisposeAsync() => channel.DisposeAsync();

        private async Task DeclaredAsync(string topic)
        {
            try
            {
                await _declared.GetOrAdd(topic, DeclareAsync);
            }
            catch
            {
                _declared.TryRemove(topic, out _);
                throw;
            }
        }

        /// <summary>What is refused closes the channel it was asked on, so not on the one of all topics.</summary>
        private async Task DeclareAsync(string topic)
        {
            await using var own = await connection.CreateChannelAsync();
            await DeclareAsync(own, topic, noWait: false);
        }

        private Task DeclareAsync(IChannel on, string topic, bool noWait) =>
            on.ExchangeDeclareAsync(topic, options.ExchangeKind, options.Durable, options.DeletedWhenUnused, noWait: noWait);
    }
}
