using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using EmbeddedSidecar.Components.Redis;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.PubSub.Redis;

/// <summary>
/// pubsub.redis: a stream for each topic, a consumer group for each consumer id (components-contrib, pubsub/redis/redis.go), laid out as daprd does, so
/// that both can work on one server.
/// <list type="bullet">
/// <item>A group is made from the beginning of its stream: who subscribes for the first time gets what is there.</item>
/// <item>Nothing is ordered: an application handles <c>concurrency</c> messages at once, over all its topics.</item>
/// <item>A message whose handler failed is acknowledged, and thereby lost, unless retries and a dead-letter topic came before. What was in hand when
/// a process died, or for longer than <c>processingTimeout</c>, is handed out again.</item>
/// <item>A stream keeps what was acknowledged, too, until <c>maxLenApprox</c> or <c>streamTTL</c> trims it.</item>
/// </list>
/// Unlike daprd, a subscription that ends finishes what it has taken, instead of leaving it to <c>processingTimeout</c>.
/// </summary>
internal sealed class RedisPubSub : IPubSub
{
    private readonly ConfigurationOptions _configuration;
    private readonly RedisPubSubOptions _options;
    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;
    private readonly ComponentContext _context;
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _workers = [];
    private readonly OpenSubscriptions _topics = new();
    private readonly CancellationTokenSource _stopping = new();
    private bool _isDisposed;

    private RedisPubSub(ConfigurationOptions configuration, RedisPubSubOptions options, ConnectionMultiplexer connection, ComponentContext context)
    {
        (_configuration, _options, _connection, _context) = (configuration, options, connection, context);
        _database = connection.GetDatabase();
    }

    public static ComponentType ComponentType { get; } = new("pubsub.redis", "v1", RedisPubSubOptions.Fields, CreateAsync)
    {
        Absent = RedisConnection.Absent,
        ServerFields = RedisConnection.ServerFields,
    };

    public IReadOnlyList<string> Capabilities { get; } = [];

    public int AtOnce => _options.Concurrency;

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        if (await TryAddAsync(topic, message, cancellationToken) is { } failure)
            throw new IOException($"redis streams: error from publish: {failure.Message}", failure);
    }

    /// <summary>All are on their way before the first is awaited.</summary>
    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(
        string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken) =>
        await Task.WhenAll(messages.Select(message => TryAddAsync(topic, message, cancellationToken)));

    /// <summary>Waits until it was tried once. What failed is tried on, and a group that comes later has all the same what its stream holds.</summary>
    public Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken)
    {
        var workers = _workers.GetOrAdd(subscription.ConsumerId, _ => new SemaphoreSlim(_options.Concurrency));
        var topic = new RedisTopic(subscription, _database, _configuration, workers, handler, _options, _context, _stopping.Token);
        _topics.Add(topic);
        return topic.OnceTriedAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        await _stopping.CancelAsync();
        await _topics.EndAsync();
        await _connection.DisposeAsync();
        _stopping.Dispose();
    }

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var options = RedisPubSubOptions.Read(metadata, context.Logger);
        return new RedisPubSub(RedisConnection.Read(metadata), options, await RedisConnection.OpenAsync(metadata), context);
    }

    /// <summary>Null, or why it may not be there.</summary>
    private async Task<Exception?> TryAddAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        try
        {
            await _database.ExecuteAsync("XADD", Arguments(topic, message)).WaitAsync(cancellationToken);
            return null;
        }
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
        {
            return failure;
        }
    }

    private List<object> Arguments(string topic, BrokerMessage message)
    {
        List<object> arguments = [(RedisKey)topic];
        if (_options.MaxLength > 0)
            arguments.AddRange(["MAXLEN", "~", _options.MaxLength]);
        else if (_options.TimeToLive > TimeSpan.Zero)
            arguments.AddRange(["MINID", "~", OldestKept()]);
        arguments.AddRange(["*", RedisTopic.Data, (RedisValue)message.Data]);
        if (message.Metadata is not null)
            arguments.AddRange([RedisTopic.Metadata, JsonSerializer.Serialize(message.Metadata)]);
        return arguments;
    }

    private string OldestKept() =>
        string.Create(CultureInfo.InvariantCulture, $"{(_context.Time.GetUtcNow() - _options.TimeToLive).ToUnixTimeMilliseconds()}-1");
}
