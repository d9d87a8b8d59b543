using System.Text.Json;
using System.Text.RegularExpressions;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace EmbeddedSidecar.Components.PubSub.JetStream;

/// <summary>
/// pubsub.jetstream: a topic is a subject, and streams that somebody else has made keep what is published (components-contrib, pubsub/jetstream). Streams
/// and consumers are used as daprd does, so that both can work on one server.
/// <list type="bullet">
/// <item>An event's id is its <c>Nats-Msg-Id</c>: within the stream's window (2 minutes by default) it is taken once, on whichever topic.</item>
/// <item>Delivery is in order and one message at a time for each subscription, unless <c>concurrencyMode</c> is parallel.</item>
/// <item>A message whose handler failed comes again at once, or after <c>ackWait</c> where it is given, for ever or until <c>maxDeliver</c>.</item>
/// <item>What was in hand when a process died comes again when <c>ackWait</c> (30 s) is over.</item>
/// </list>
/// Unlike daprd's, it acknowledges after the handling in parallel mode too, tries for as long as it takes to find a server again, makes a consumer
/// that was lost again, and hands over many messages at once to who subscribes in bulk.
/// </summary>
internal sealed partial class JetStreamPubSub : IBulkPubSub
{
    /// <summary>Batches of a parallel subscription in bulk; a single one has one.</summary>
    private const int BatchesAtOnce = 4;

    /// <summary>A publication that got no answer by then counts as failed, as in nats.go; so does one that waits for the server.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    /// <summary>Of the streams that <see cref="AddStreamAsync"/> makes: what is older is dropped, read or not; an id is known for so long.</summary>
    private static readonly TimeSpan StreamsKeep = TimeSpan.FromDays(7);
    private static readonly TimeSpan StreamsKnowIds = TimeSpan.FromMinutes(2);

    private readonly NatsConnection _connection;
    private readonly NatsJSContext _jetStream;
    private readonly JetStreamPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly OpenSubscriptions _topics = new();
    private readonly CancellationTokenSource _stopping = new();
    private volatile TaskCompletionSource _reopened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isDisposed;

    private JetStreamPubSub(NatsConnection connection, JetStreamPubSubOptions options, ComponentContext context)
    {
        (_connection, _options, _context) = (connection, options, context);
        _jetStream = new(connection, new NatsJSOpts(connection.Opts, options.ApiPrefix));
        connection.ConnectionDisconnected += OnDisconnected;
        connection.ConnectionOpened += OnReopened;
        connection.MessageDropped += OnDropped;
    }

    public static ComponentType ComponentType { get; } = new("pubsub.jetstream", "v1", JetStreamPubSubOptions.Fields, CreateAsync) { ServerFields = ["natsURL"] };

    public IReadOnlyList<string> Capabilities { get; } = [];

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        if (await TryPublishAsync(topic, message, cancellationToken) is { } failure)
            throw failure;
    }

    /// <summary>All are on their way before the first is awaited.</summary>
    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(
        string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken) =>
        await Task.WhenAll(messages.Select(message => TryPublishAsync(topic, message, cancellationToken)));

    /// <summary>Where that is not possible at once, it is told and tried again, for as long as it takes.</summary>
    public Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken) =>
        SubscribeAsync(
            subscription,
            maxMessages: 1,
            _options.IsParallel ? int.MaxValue : 1,
            async (batch, stop) => batch.Finish(0, await handler(batch.Messages[0], stop)),
            cancellationToken);

    public Task<IAsyncDisposable> SubscribeManyAsync(
        TopicSubscription subscription,
        int maxMessages,
        Func<IMessageBatch, CancellationToken, Task> handler,
        CancellationToken cancellationToken) =>
        SubscribeAsync(subscription, maxMessages, _options.IsParallel ? BatchesAtOnce : 1, handler, cancellationToken);

    /// <summary>
    /// Makes a stream that takes a topic and nothing else, for who runs this before the first start: neither daprd nor a subscription makes any.
    /// False: one takes it already, and is left alone.
    /// </summary>
    /// <exception cref="NatsException">The server refused, or did not answer.</exception>
    internal async Task<bool> AddStreamAsync(string topic, int replicas, CancellationToken cancellationToken)
    {
        await foreach (var _ in _jetStream.ListStreamNamesAsync(topic, cancellationToken))
            return false;
        var config = new StreamConfig(NoStreamName().Replace(topic, "_"), [topic])
        {
            Storage = StreamConfigStorage.File,
            Retention = StreamConfigRetention.Limits,
            Discard = StreamConfigDiscard.Old,
            NumReplicas = replicas,
            MaxAge = StreamsKeep,
            DuplicateWindow = StreamsKnowIds,
        };
        await _jetStream.CreateStreamAsync(config, cancellationToken);
        return true;
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        await _stopping.CancelAsync();
        await _topics.EndAsync();
        await FlushAsync();
        await _connection.DisposeAsync();
        _stopping.Dispose();
    }

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var options = JetStreamPubSubOptions.Read(metadata, context.Logger);
        var connection = new NatsConnection(options.Connection);
        try
        {
            await connection.ConnectAsync().AsTask().WaitAsync(cancellationToken);
            return new JetStreamPubSub(connection, options, context);
        }
        catch (Exception error)
        {
            await connection.DisposeAsync();
            throw error is NatsException ? new InvalidOperationException($"no NATS server takes us: {error.GetBaseException().Message}", error) : error;
        }
    }

    private Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription, int maxMessages, int atOnce, Func<IMessageBatch, CancellationToken, Task> handler, CancellationToken cancellationToken)
    {
        var topic = new JetStreamTopic(subscription, maxMessages, atOnce, handler, _jetStream, _options, _context, () => _reopened.Task, _stopping.Token);
        _topics.Add(topic);
        return topic.OnceTriedAsync(cancellationToken);
    }

    /// <summary>Null, or why it may not be there.</summary>
    private async Task<Exception?> TryPublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(AnswerLimit);
        try
        {
            var result = await _jetStream.TryPublishAsync(
                topic,
                message.Data,
                NatsRawSerializer<ReadOnlyMemory<byte>>.Default,
                new NatsJSPubOpts { MsgId = IdOf(message.Data.Span), RetryAttempts = 2 },
                cancellationToken: limit.Token);
            return result switch
            {
                { Success: false, Error: NatsJSPublishNoResponseException } =>
                    new IOException($"nats: no response from stream: is there one that takes the subject {topic}? Dapr makes none", result.Error),
                { Success: false } => new IOException($"nats: {result.Error.Message}", result.Error),
                // One that is there already, by its id, is no failure.
                { Value.Error: { } refused } => new IOException($"nats: {refused.Description}"),
                _ => null,
            };
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new IOException($"nats: timeout: no answer within {AnswerLimit.TotalSeconds} s");
        }
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
        {
            return new IOException($"nats: {failure.Message}", failure);
        }
    }

    /// <summary>As daprd finds it: the id of whatever is a JSON object, a raw payload too; null without one.</summary>
    internal static string? IdOf(ReadOnlySpan<byte> data)
    {
        try
        {
            string? id = null;
            var json = new Utf8JsonReader(data);
            if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
                return null;
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                var isId = json.ValueTextEquals("id"u8);
                json.Read();
                if (isId)
                    id = json.TokenType == JsonTokenType.String ? json.GetString() : null;
                json.Skip();
            }

            // What follows makes it no JSON.
            json.Read();
            // A header ends with its line.
            return id is { Length: > 0 } ? id.ReplaceLineEndings(" ") : null;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    [GeneratedRegex(@"[\s.*>/\\]")]
    private static partial Regex NoStreamName();

    private ValueTask OnDisconnected(object? sender, NatsEventArgs args)
    {
        if (!_isDisposed)
            _context.Logger.LogWarning("The NATS server at {Server} is away; it is looked for until it is back", args.Message);
        return default;
    }

    private ValueTask OnReopened(object? sender, NatsEventArgs args)
    {
        _context.Logger.LogInformation("Connected to the NATS server at {Server}", args.Message);
        Interlocked.Exchange(ref _reopened, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        return default;
    }

    private ValueTask OnDropped(object? sender, NatsMessageDroppedEventArgs args)
    {
        _context.Logger.LogWarning(
            "Topic {Topic}: {Count} messages wait here already, so another one is dropped; it comes again after ackWait, unless ackPolicy is none",
            args.Subject, args.Pending);
        return default;
    }

    /// <summary>What was acknowledged last is on its way before the connection is closed.</summary>
    private async Task FlushAsync()
    {
        try
        {
            if (_connection.ConnectionState == NatsConnectionState.Open)
                await _connection.PingAsync().AsTask().WaitAsync(AnswerLimit, _context.Time);
        }
        catch (Exception error)
        {
            _context.Logger.LogDebug("NATS did not answer at the end, so what was handled last may come again: {Reason}", error.Message);
        }
    }
}
