using System.Threading.Channels;
using NATS.Client.Core;
using NATS.Client.JetStream;

namespace EmbeddedSidecar.Components.PubSub.JetStream;

/// <summary>
/// One subscription: takes what its consumer pushes, hands it over in order, acknowledges what was handled and gives back what was not. It lives on
/// when its consumer is lost, or the server for a while; of a consumer without a durable name the next one begins where the lost one was.
/// </summary>
internal sealed class JetStreamTopic : BrokerSubscription
{
    private const int StatusOfControl = 100;

    /// <summary>Of those that wait to be handed over. Flow control is answered when what came before has its place here.</summary>
    private const int MostArrived = 1000;

    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan LookForConsumerEvery = TimeSpan.FromSeconds(10);

    /// <summary>At the end, an acknowledgement waits so long for a server that is away.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);

    private readonly TopicSubscription _subscription;
    private readonly int _maxMessages;
    private readonly SemaphoreSlim _places;
    private readonly Func<IMessageBatch, CancellationToken, Task> _handler;
    private readonly NatsJSContext _jetStream;
    private readonly JetStreamPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly Func<Task> _reopened;
    private readonly Channel<NatsJSMsg<byte[]>> _arrived = Channel.CreateBounded<NatsJSMsg<byte[]>>(new BoundedChannelOptions(MostArrived) { SingleReader = true });
    private readonly Lock _lock = new();
    private readonly Task _loops;

    /// <summary>By their sequence in the stream: in hand here, and how often they were delivered; delivered, and not acknowledged yet.</summary>
    private readonly Dictionary<ulong, ulong> _held = [];
    private readonly SortedSet<ulong> _open = [];
    private DateTimeOffset? _stream;
    private ulong _next;

    public JetStreamTopic(
        TopicSubscription subscription,
        int maxMessages,
        int atOnce,
        Func<IMessageBatch, CancellationToken, Task> handler,
        NatsJSContext jetStream,
        JetStreamPubSubOptions options,
        ComponentContext context,
        Func<Task> reopened,
        CancellationToken stopping)
        : base(stopping)
    {
        (_subscription, _maxMessages, _handler, _places) = (subscription, maxMessages, handler, new(atOnce, atOnce));
        (_jetStream, _options, _context, _reopened) = (jetStream, options, context, reopened);
        _loops = Task.WhenAll(Task.Run(FollowUntilEndAsync, CancellationToken.None), Task.Run(HandOverAsync, CancellationToken.None));
    }

    protected override Task TakesNoMoreAsync() => _loops;

    protected override ValueTask CloseAsync() => ValueTask.CompletedTask;

    private async Task FollowUntilEndAsync()
    {
        var wait = AfterFailure;
        while (!IsEnding)
        {
            try
            {
                await FollowAsync();
                wait = AfterFailure;
            }
            catch (Exception) when (IsEnding)
            {
                break;
            }
            catch (Exception error)
            {
                _context.Logger.LogError(
                    "Topic {Topic} cannot be subscribed at JetStream for {Consumer}; tried again in {Seconds} s: {Reason}",
                    _subscription.Topic, _subscription.ConsumerId, wait.TotalSeconds, error.Message);
                Tried();
                await Task.Delay(wait, _context.Time, Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                wait = wait * 2 < LookForConsumerEvery ? wait * 2 : LookForConsumerEvery;
            }
        }

        Tried();
        _arrived.Writer.Complete();
    }

    /// <summary>Until the consumer is gone.</summary>
    private async Task FollowAsync()
    {
        INatsSub<byte[]>? subscribed = null;
        var reading = Task.CompletedTask;
        try
        {
            var consumer = await JetStreamConsumer.OpenAsync(_jetStream, _options, _subscription.Topic, ResumeFrom(), ListenAsync, Ended);
            Begin(consumer);
            Tried();
            await UntilGoneAsync(consumer);
            _context.Logger.LogWarning(
                "The consumer {Consumer} of topic {Topic} is gone from stream {Stream}, by a restart of the server or by somebody's hand: it is looked for, or made again",
                consumer.Name, _subscription.Topic, consumer.Stream);
        }
        finally
        {
            try
            {
                if (subscribed is not null)
                    await subscribed.UnsubscribeAsync();
            }
            finally
            {
                await reading;
            }
        }

        async Task ListenAsync(string subject)
        {
            subscribed = await _jetStream.Connection.SubscribeCoreAsync<byte[]>(subject, _options.Consumer.DeliverGroup, cancellationToken: Ended);
            reading = ReadAsync(subscribed);
        }
    }

    private async Task ReadAsync(INatsSub<byte[]> subscribed)
    {
        await foreach (var message in subscribed.Msgs.ReadAllAsync(CancellationToken.None))
        {
            if (message.Headers is { Code: StatusOfControl } control)
                await AnswerAsync(message, control);
            else
                await TakeAsync(new(message, _jetStream));
        }
    }

    /// <summary>The server waits for an answer before it sends more: to the request itself, or where a heartbeat says that one was missed.</summary>
    private async Task AnswerAsync(NatsMsg<byte[]> message, NatsHeaders control)
    {
        var subject = control.TryGetLastValue("Nats-Consumer-Stalled", out var stalled) ? stalled : message.ReplyTo;
        if (subject is not { Length: > 0 })
            return;
        try
        {
            await SendAsync(stop => _jetStream.Connection.PublishAsync(subject, cancellationToken: stop));
        }
        catch (Exception error)
        {
            _context.Logger.LogDebug("Flow control of topic {Topic} was not answered; the next heartbeat asks again: {Reason}", _subscription.Topic, error.Message);
        }
    }

    private async ValueTask TakeAsync(NatsJSMsg<byte[]> message)
    {
        if (message.Metadata is not { Sequence.Stream: var sequence, NumDelivered: var deliveries })
        {
            _context.Logger.LogError("A message came to topic {Topic} that is none of JetStream's: {Subject}", _subscription.Topic, message.Subject);
            return;
        }

        lock (_lock)
        {
            _next = Math.Max(_next, sequence + 1);
            // It waits here, or is being handled, for longer than ackWait: what becomes of it counts for this copy too.
            var isHeld = !_held.TryAdd(sequence, deliveries);
            _held[sequence] = deliveries;
            if (isHeld)
                return;
            _open.Add(sequence);
        }

        await _arrived.Writer.WriteAsync(message, CancellationToken.None);
    }

    private (DateTimeOffset Stream, ulong Sequence)? ResumeFrom()
    {
        lock (_lock)
            return _stream is { } stream ? (stream, _open.Count > 0 ? _open.Min : _next) : null;
    }

    private void Begin(JetStreamConsumer consumer)
    {
        lock (_lock)
        {
            // Sequences of another stream, of the same name, say nothing about this one.
            if (_stream is { } before && before != consumer.StreamCreated)
            {
                _open.Clear();
                _held.Clear();
                _next = 0;
            }

            _stream = consumer.StreamCreated;
            _next = Math.Max(_next, consumer.Next);
        }
    }

    private async Task UntilGoneAsync(JetStreamConsumer consumer)
    {
        var wait = LookForConsumerEvery;
        while (true)
        {
            await Task.WhenAny(_reopened(), Task.Delay(wait, _context.Time, Ended));
            Ended.ThrowIfCancellationRequested();
            try
            {
                if (!await consumer.IsThereAsync(_jetStream, Ended))
                    return;
                wait = LookForConsumerEvery;
            }
            catch (Exception error) when (!IsEnding)
            {
                _context.Logger.LogDebug("JetStream does not say whether the consumer {Consumer} is there: {Reason}", consumer.Name, error.Message);
                wait = AfterFailure;
            }
        }
    }

    private async Task HandOverAsync()
    {
        while (await _arrived.Reader.WaitToReadAsync(CancellationToken.None))
        {
            await _places.WaitAsync(CancellationToken.None);
            var most = IsEnding ? int.MaxValue : _maxMessages;
            var messages = new List<NatsJSMsg<byte[]>>();
            while (messages.Count < most && _arrived.Reader.TryRead(out var message))
                messages.Add(message);
            Enter();
            _ = HandleAsync(new Batch(this, messages));
        }
    }

    private async Task HandleAsync(Batch batch)
    {
        await Task.Yield();
        try
        {
            // What has only arrived when the subscription ends goes back at once, to another replica.
            if (!IsEnding)
                await _handler(batch, Stopping);
        }
        catch (Exception error)
        {
            if (!Stopping.IsCancellationRequested)
                _context.Logger.LogError(error, "Delivering {Count} messages of topic {Topic} to {Consumer} failed", batch.Messages.Count, _subscription.Topic, _subscription.ConsumerId);
        }

        await batch.EndAsync();
        Leave();
    }

    private async Task SettleAsync(NatsJSMsg<byte[]> message, DeliveryResult result)
    {
        var sequence = message.Metadata!.Value.Sequence.Stream;
        try
        {
            if (result == DeliveryResult.Done)
                await AcknowledgeAsync(message, sequence);
            else
                await GiveBackAsync(message, sequence);
        }
        catch (Exception error)
        {
            _context.Logger.LogWarning(
                "JetStream was not told what became of message {Sequence} of topic {Topic} at {Consumer}: it comes again after ackWait: {Reason}",
                sequence, _subscription.Topic, _subscription.ConsumerId, error.Message);
        }
    }

    private async Task AcknowledgeAsync(NatsJSMsg<byte[]> message, ulong sequence)
    {
        try
        {
            if (_options.Acknowledges)
                await SendAsync(stop => message.AckAsync(cancellationToken: stop));
            lock (_lock)
                _open.Remove(sequence);
        }
        finally
        {
            lock (_lock)
                _held.Remove(sequence);
        }
    }

    private async Task GiveBackAsync(NatsJSMsg<byte[]> message, ulong sequence)
    {
        bool isLast;
        ulong deliveries;
        var delay = IsEnding || _options.Consumer.AckWait <= TimeSpan.Zero ? (TimeSpan?)null : _options.Consumer.AckWait;
        lock (_lock)
        {
            // Before it is given back: it may be here again at once.
            _held.Remove(sequence, out deliveries);
            isLast = !_options.Acknowledges || (_options.Consumer.MaxDeliver > 0 && deliveries >= (ulong)_options.Consumer.MaxDeliver);
            if (isLast)
                _open.Remove(sequence);
        }

        if (isLast)
            _context.Logger.LogError(
                "Message {Sequence} of topic {Topic} failed at {Consumer} and does not come again: it was delivered {Count} times, or ackPolicy is none. A dead-letter topic keeps such",
                sequence, _subscription.Topic, _subscription.ConsumerId, deliveries);
        else if (!IsEnding)
            _context.Logger.LogWarning(
                "Message {Sequence} of topic {Topic} failed at {Consumer}: it comes again {When}", sequence, _subscription.Topic, _subscription.ConsumerId,
                delay is { } wait ? $"in {wait.TotalSeconds} s" : "at once");
        if (_options.Acknowledges)
            await SendAsync(stop => message.NakAsync(new AckOpts { NakDelay = delay }, stop));
    }

    /// <summary>Waits for a server that is away, but not at the end.</summary>
    private async Task SendAsync(Func<CancellationToken, ValueTask> send)
    {
        while (!IsEnding)
        {
            try
            {
                await send(Ended);
                return;
            }
            catch (OperationCanceledException)
            {
                // The connection was lost once more while it was waited for, or the subscription ends.
            }
        }

        using var limit = new CancellationTokenSource(LastWords, _context.Time);
        await send(limit.Token);
    }

    private sealed class Batch(JetStreamTopic topic, List<NatsJSMsg<byte[]>> arrived) : IMessageBatch
    {
        private readonly Task?[] _settled = new Task?[arrived.Count];
        private int _isOpened;

        /// <summary>The metadata are daprd's: nothing of what the publisher gave, and the subject.</summary>
        public IReadOnlyList<BrokerMessage> Messages { get; } = arrived.ConvertAll(
            message => new BrokerMessage(message.Data ?? [], ContentType: null, new Dictionary<string, string> { ["Topic"] = message.Subject }));

        public void Finish(int index, DeliveryResult result)
        {
            lock (_settled)
                _settled[index] ??= topic.SettleAsync(arrived[index], result);
        }

        public void LetNextCome()
        {
            if (Interlocked.Exchange(ref _isOpened, 1) == 0)
                topic._places.Release();
        }

        public async Task EndAsync()
        {
            for (var i = 0; i < arrived.Count; i++)
                Finish(i, DeliveryResult.Failed);
            await Task.WhenAll(_settled!);
            LetNextCome();
        }
    }
}
