using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>
/// One subscription: a channel of its own, so that what happens to others does not happen to it, opened anew as often as it is lost. What it had in
/// hand then comes again. What is not handled when it ends goes back to the queue with the channel.
/// </summary>
internal sealed class RabbitMqTopic : BrokerSubscription
{
    private readonly TopicSubscription _subscription;
    private readonly RabbitMqQueue _queue;
    private readonly Reopened<IConnection> _connection;
    private readonly Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> _handler;
    private readonly RabbitMqPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _consumes = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _loop;
    private Task _last = Task.CompletedTask;

    public RabbitMqTopic(
        TopicSubscription subscription,
        RabbitMqQueue queue,
        Reopened<IConnection> connection,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        RabbitMqPubSubOptions options,
        ComponentContext context,
        CancellationToken stopping)
        : base(stopping)
    {
        (_subscription, _queue, _connection, _handler) = (subscription, queue, connection, handler);
        (_options, _context) = (options, context);
        _loop = Task.Run(UntilEndAsync, CancellationToken.None);
    }

    /// <summary>Completes when messages come for the first time.</summary>
    public Task Consumes => _consumes.Task;

    /// <summary>From now on a message that comes is not taken, and goes back with the channel.</summary>
    protected override Task TakesNoMoreAsync() => Task.CompletedTask;

    protected override ValueTask CloseAsync() => new(_loop);

    private async Task UntilEndAsync()
    {
        while (!IsEnding)
        {
            try
            {
                var lost = await ConsumeAsync();
                if (IsEnding)
                    return;
                _context.Logger.LogWarning(
                    "{Consumer} gets nothing more of topic {Topic} ({Reason}); subscribed again in {Seconds} s. What it had in hand comes again",
                    _subscription.ConsumerId, _subscription.Topic, lost, _options.ReconnectWait.TotalSeconds);
            }
            catch (Exception) when (IsEnding)
            {
                return;
            }
            catch (Exception error)
            {
                _context.Logger.LogError(
                    "Topic {Topic} cannot be subscribed for {Consumer}; tried again in {Seconds} s: {Reason}",
                    _subscription.Topic, _subscription.ConsumerId, _options.ReconnectWait.TotalSeconds, error.Message);
            }

            await Task.Delay(_options.ReconnectWait, _context.Time, Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Until the end, or until no more can come; then it tells why.</summary>
    private async Task<string> ConsumeAsync()
    {
        var connection = await _connection.GetAsync(Ended);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: Ended);
        await _queue.DeclareAsync(channel, Ended);
        if (_options.PrefetchCount > 0)
            await channel.BasicQosAsync(prefetchSize: 0, _options.PrefetchCount, global: false, Ended);
        var consumer = new Consumer(this, channel);
        var tag = await channel.BasicConsumeAsync(_queue.Name, _options.AutoAck, consumer, Ended);
        _consumes.TrySetResult();
        try
        {
            return await consumer.Lost.WaitAsync(Ended);
        }
        catch (OperationCanceledException)
        {
            await channel.BasicCancelAsync(tag, cancellationToken: Stopping);
            // What they have done must be acknowledged on this channel.
            await Idle;
            return "it ended";
        }
    }

    private void Take(IChannel channel, ulong tag, BrokerMessage message)
    {
        lock (_lock)
        {
            if (!TryEnter())
                return;
            var handling = HandleAsync(_options.OneByOne ? _last : Task.CompletedTask, channel, tag, message);
            if (_options.OneByOne)
                _last = handling;
        }
    }

    private async Task HandleAsync(Task before, IChannel channel, ulong tag, BrokerMessage message)
    {
        await Task.Yield();
        try
        {
            await before;
            // Otherwise it would be handled twice: it goes back with the channel.
            if (!_options.AutoAck && (IsEnding || !channel.IsOpen))
                return;
            await SettleAsync(channel, tag, await _handler(message, Stopping));
        }
        catch (OperationCanceledException)
        {
            _context.Logger.LogDebug("A message of topic {Topic} was in hand at the end of {Consumer}", _subscription.Topic, _subscription.ConsumerId);
        }
        catch (Exception error)
        {
            _context.Logger.LogError(
                error, "What became of a message of topic {Topic} at {Consumer} could not be told to RabbitMQ: it comes again",
                _subscription.Topic, _subscription.ConsumerId);
        }
        finally
        {
            Leave();
        }
    }

    private async Task SettleAsync(IChannel channel, ulong tag, DeliveryResult result)
    {
        if (result == DeliveryResult.Done)
        {
            if (!_options.AutoAck)
                await channel.BasicAckAsync(tag, multiple: false);
            return;
        }

        if (!_options.AutoAck && IsEnding)
        {
            _context.Logger.LogWarning(
                "A message of topic {Topic} failed at {Consumer} when the subscription ended: it goes back to its queue",
                _subscription.Topic, _subscription.ConsumerId);
            return;
        }

        var fate = _options switch
        {
            { AutoAck: true } => "is gone: autoAck has acknowledged it before",
            { RequeueInFailure: true } => "comes again",
            { DeadLetters: true } => "goes to the dead-letter queue",
            _ => "is gone: requeueInFailure is false. Retries come from a resiliency policy, and a dead-letter topic keeps it",
        };
        _context.Logger.LogError("A message of topic {Topic} failed at {Consumer} and {Fate}", _subscription.Topic, _subscription.ConsumerId, fate);
        if (!_options.AutoAck)
            await channel.BasicNackAsync(tag, multiple: false, _options.RequeueInFailure);
    }

    private sealed class Consumer(RabbitMqTopic topic, IChannel channel) : AsyncDefaultBasicConsumer(channel)
    {
        private readonly TaskCompletionSource<string> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<string> Lost => _lost.Task;

        public override Task HandleBasicDeliverAsync(
            string consumerTag,
            ulong deliveryTag,
            bool redelivered,
            string exchange,
            string routingKey,
            IReadOnlyBasicProperties properties,
            ReadOnlyMemory<byte> body,
            CancellationToken cancellationToken = default)
        {
            // The body is the client's again on return.
            var metadata = topic._options.PropertiesToMetadata ? RabbitMqProperties.ToMetadata(properties) : RabbitMqProperties.None;
            topic.Take(Channel, deliveryTag, new BrokerMessage(body.ToArray(), ContentType: null, metadata));
            return Task.CompletedTask;
        }

        public override Task HandleBasicCancelAsync(string consumerTag, CancellationToken cancellationToken = default)
        {
            _lost.TrySetResult("its queue was deleted");
            return Task.CompletedTask;
        }

        public override Task HandleChannelShutdownAsync(object channel, ShutdownEventArgs reason)
        {
            _lost.TrySetResult(reason.ReplyText);
            return Task.CompletedTask;
        }
    }
}
