using RabbitMQ.Client;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>
/// pubsub.rabbitmq: an exchange for each topic, a queue for each consumer and topic (components-contrib, pubsub/rabbitmq/rabbitmq.go), laid out as daprd
/// does, so that both can work on one broker.
/// <list type="bullet">
/// <item>A queue begins when its subscription does: what was published before is not in it. With <c>deletedWhenUnused</c>, the default, it goes with the
/// last subscription.</item>
/// <item>Nothing is ordered unless <c>concurrencyMode</c> is single; an application handles up to <c>prefetchCount</c> messages of a subscription at
/// once, by default all that there are.</item>
/// <item>A message whose handler failed is lost, unless <c>requeueInFailure</c> brings it again at once, or retries and a dead-letter topic came before.
/// What was in hand when a process or the broker died comes again, if the queue and the message were to last.</item>
/// <item>Only with <c>publisherConfirm</c> is what was published in the broker's hand.</item>
/// </list>
/// Unlike daprd, each subscription has a channel of its own, and comes back after a loss of the broker whatever the others do; any number of messages are
/// published at once; and one that is not confirmed has failed.
/// </summary>
internal sealed class RabbitMqPubSub : IPubSub
{
    /// <summary>As daprd, a sidecar gets ready after this long without a subscription that cannot begin; it is tried on.</summary>
    private static readonly TimeSpan LongestStart = TimeSpan.FromMinutes(1);

    private readonly RabbitMqPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly Reopened<IConnection> _publishing;
    private readonly Reopened<IConnection> _consuming;
    private readonly RabbitMqPublisher _publisher;
    private readonly OpenSubscriptions _topics = new();
    private readonly CancellationTokenSource _stopping = new();
    private bool _isDisposed;

    private RabbitMqPubSub(ConnectionFactory factory, RabbitMqPubSubOptions options, ComponentContext context)
    {
        (_options, _context) = (options, context);
        // Two, since a broker that is short of memory reads no more from one that publishes: acknowledgements must still get through.
        _publishing = new(() => ConnectAsync(factory), connection => connection.IsOpen);
        _consuming = new(() => ConnectAsync(factory), connection => connection.IsOpen);
        _publisher = new(_publishing, options, context);
    }

    public static ComponentType ComponentType { get; } = new("pubsub.rabbitmq", "v1", RabbitMqPubSubOptions.Fields, CreateAsync)
    {
        ServerFields = ["connectionString", "host", "hostname"],
    };

    public IReadOnlyList<string> Capabilities { get; } = [PubSubCapabilities.MessageTtl];

    public int AtOnce => _options.OneByOne ? 1 : _options.PrefetchCount is > 0 and var count ? count : int.MaxValue;

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        if (await _publisher.TryPublishAsync(topic, message, cancellationToken) is { } failure)
            throw new IOException($"rabbitmq pub/sub: {failure.Message}", failure);
    }

    /// <summary>All are on their way before the first is awaited.</summary>
    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(
        string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken) =>
        await Task.WhenAll(messages.Select(message => _publisher.TryPublishAsync(topic, message, cancellationToken)));

    /// <summary>A queue that lasts is made at once, so that it has what is published while its application is starting; daprd makes it later.</summary>
    public async Task RegisterAsync(TopicSubscription subscription, CancellationToken cancellationToken)
    {
        if (_options.DeletedWhenUnused)
            return;
        try
        {
            var connection = await _consuming.GetAsync(cancellationToken);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
            await new RabbitMqQueue(subscription, _options).DeclareAsync(channel, cancellationToken);
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            _context.Logger.LogWarning(
                "The queue of {Consumer} for topic {Topic} cannot be made before the application has started: {Reason}",
                subscription.ConsumerId, subscription.Topic, error.Message);
        }
    }

    /// <summary>Waits until the subscription has begun, as daprd for a minute at most.</summary>
    public async Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken)
    {
        var queue = new RabbitMqQueue(subscription, _options);
        var topic = new RabbitMqTopic(subscription, queue, _consuming, handler, _options, _context, _stopping.Token);
        _topics.Add(topic);
        try
        {
            await topic.Consumes.WaitAsync(LongestStart, _context.Time, cancellationToken);
        }
        catch (TimeoutException)
        {
            _context.Logger.LogError(
                "{Consumer} has no subscription to topic {Topic} after {Seconds} s; it is tried on",
                subscription.ConsumerId, subscription.Topic, LongestStart.TotalSeconds);
        }
        catch
        {
            await topic.DisposeAsync();
            throw;
        }

        return topic;
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        await _stopping.CancelAsync();
        await _topics.EndAsync();
        await _publisher.DisposeAsync();
        await _publishing.DisposeAsync();
        await _consuming.DisposeAsync();
        _stopping.Dispose();
    }

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var options = RabbitMqPubSubOptions.Read(metadata, context.Logger);
        var factory = RabbitMqConnection.Read(metadata, context.Logger);
        var component = new RabbitMqPubSub(factory, options, context);
        try
        {
            await component._publisher.ConnectAsync(cancellationToken);
            return component;
        }
        catch (Exception error)
        {
            await component.DisposeAsync();
            if (cancellationToken.IsCancellationRequested)
                throw;
            throw new InvalidOperationException($"no RabbitMQ that takes us at {RabbitMqConnection.Describe(factory)}: {Reason(error)}", error);
        }
    }

    /// <summary>The client's own text names no cause.</summary>
    private static string Reason(Exception error) => error.InnerException is { } cause ? $"{error.Message} {Reason(cause)}" : error.Message;

    private async Task<IConnection> ConnectAsync(ConnectionFactory factory)
    {
        var connection = await factory.CreateConnectionAsync(_stopping.Token);
        connection.ConnectionBlockedAsync += (_, blocked) =>
        {
            _context.Logger.LogWarning("RabbitMQ takes no messages until further notice: {Reason}", blocked.Reason);
            return Task.CompletedTask;
        };
        return connection;
    }
}
