using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using DaprOrders.Sidecar.Components.Redis;
using StackExchange.Redis;

namespace DaprOrders.Sidecar.Components.PubSub.Redis;

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
public sealed class RedisPubSub : IPubSub
{
    private readonly ConfigurationOptions _configuration;
    private readonly RedisPubSubOptions _options;
    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;
    private readonly ComponentContext _context;
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _workers = [];
    private readonly CancellationTokenSource _stopping = new();

    private RedisPubSub(ConfigurationOptions configuration, RedisPubSubOptions options, ConnectionMultiplexer connection, ComponentContext context)
    {
        (_configuration, _options, _connection, _context) = (configuration, options, connection, context);
        _database = connection.GetDatabase();
    }

    public static ComponentType ComponentType { get; } = new("pubsub.redis", "v1", RedisPubSubOptions.Fields, CreateAsync);

    public IReadOnlyList<string> Capabilities { get; } = [];

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        try
        {
            await AddAsync(topic, message).WaitAsync(cancellationToken);
        }
        catch (Exception error) when (IsOfRedis(error))
        {
            throw new IOException($"redis streams: error from publish: {error.Message}", error);
        }
    }

    public Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken)
    {
        // All are on their way before the first is awaited.
        return PublishAsync(messages.Select(message => AddAsync(topic, message)).ToArray());

        async Task<IReadOnlyList<Exception?>> PublishAsync(Task<RedisResult>[] added)
        {
            var failures = new Exception?[added.Length];
            for (var i = 0; i < failures.Length; i++)
            {
                try
                {
                    await added[i].WaitAsync(cancellationToken);
                }
                catch (Exception error) when (IsOfRedis(error))
                {
                    failures[i] = error;
                }
            }

            return failures;
        }
    }

    public async Task RegisterAsync(TopicSubscription subscription, CancellationToken cancellationToken)
    {
        try
        {
            await RedisTopic.CreateGroupAsync(_database, subscription).WaitAsync(cancellationToken);
        }
        catch (Exception error) when (IsOfRedis(error))
        {
            throw new IOException($"redis streams: the group of {subscription.ConsumerId} could not be made on {subscription.Topic}: {error.Message}", error);
        }
    }

    public async Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken)
    {
        await RegisterAsync(subscription, cancellationToken);
        var reading = await ConnectionMultiplexer.ConnectAsync(RedisTopic.ForReading(_configuration));
        var workers = _workers.GetOrAdd(subscription.ConsumerId, _ => new SemaphoreSlim(_options.Concurrency));
        return new RedisTopic(subscription, _database, reading, workers, handler, _options, _context, _stopping.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _connection.DisposeAsync();
        _stopping.Dispose();
    }

    internal static bool IsOfRedis(Exception error) => error is RedisException or RedisTimeoutException or ObjectDisposedException;

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var options = RedisPubSubOptions.Read(metadata, context.Logger);
        return new RedisPubSub(RedisConnection.Read(metadata), options, await RedisConnection.OpenAsync(metadata), context);
    }

    private Task<RedisResult> AddAsync(string topic, BrokerMessage message)
    {
        List<object> arguments = [(RedisKey)topic];
        if (_options.MaxLength > 0)
            arguments.AddRange(["MAXLEN", "~", _options.MaxLength]);
        if (_options.TimeToLive > TimeSpan.Zero)
            arguments.AddRange(["MINID", "~", OldestKept()]);
        arguments.AddRange(["*", RedisTopic.Data, (RedisValue)message.Data]);
        if (message.Metadata is not null)
            arguments.AddRange([RedisTopic.Metadata, JsonSerializer.Serialize(message.Metadata)]);
        return _database.ExecuteAsync("XADD", arguments);
    }

    private string OldestKept() =>
        string.Create(CultureInfo.InvariantCulture, $"{(_context.Time.GetUtcNow() - _options.TimeToLive).ToUnixTimeMilliseconds()}-1");
}
