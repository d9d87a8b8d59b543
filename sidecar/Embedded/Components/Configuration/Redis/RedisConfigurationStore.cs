using System.Globalization;
using EmbeddedSidecar.Components.Redis;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.Configuration.Redis;

/// <summary>
/// configuration.redis: the keys of a database, their values as <c>value||version</c>, changes by the server's keyspace notifications, which the component
/// switches on (components-contrib, configuration/redis/redis.go). What changes while the server cannot be reached is told by nobody; unlike daprd's,
/// subscriptions go on after a restart of the server, which has forgotten that it is to notify.
/// </summary>
internal sealed class RedisConfigurationStore : IAsyncDisposable
{
    private const string Separator = "||";

    /// <summary>Of keys: commands of any type, of strings, expiry, eviction.</summary>
    private const string Notifications = "Kg$xe";

    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;
    private readonly ILogger _logger;
    private readonly string _channelPrefix;
    private volatile bool _notifies;

    private RedisConfigurationStore(ConnectionMultiplexer connection, ILogger logger)
    {
        (_connection, _logger) = (connection, logger);
        _database = connection.GetDatabase();
        _channelPrefix = string.Create(CultureInfo.InvariantCulture, $"__keyspace@{_database.Database}__:");
        connection.ConnectionRestored += (_, restored) =>
        {
            if (_notifies && restored.ConnectionType == ConnectionType.Interactive)
                _ = NotifyAsync();
        };
    }

    public static ComponentType ComponentType { get; } = new("configuration.redis", "v1", RedisConnection.Fields, CreateAsync)
    {
        Absent = RedisConnection.Absent,
        ServerFields = RedisConnection.ServerFields,
    };

    /// <summary>What is there of the keys; without keys all there is. Keys of other types than a string, and empty ones, are passed over.</summary>
    /// <exception cref="RedisException">The server did not answer, or refused.</exception>
    public async Task<IReadOnlyDictionary<string, ConfigurationEntry>> GetAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        if (keys.Count == 0)
            keys = await KeysAsync().WaitAsync(cancellationToken);

        var entries = new Dictionary<string, ConfigurationEntry>(keys.Count);
        foreach (var (key, entry) in await Task.WhenAll(keys.Distinct().Select(async key => (key, entry: await GetAsync(key)))).WaitAsync(cancellationToken))
        {
            if (entry.Value is not null)
                entries[key] = entry;
        }

        return entries;
    }

    /// <summary>
    /// Tells of each change of a key what it has become; without keys of every key of the database. One after another for each key, until the answer is disposed.
    /// </summary>
    /// <exception cref="RedisException">The server did not answer, or refused.</exception>
    public async Task<IAsyncDisposable> SubscribeAsync(
        IReadOnlyCollection<string> keys, Func<string, ConfigurationEntry, Task> changed, CancellationToken cancellationToken)
    {
        _notifies = true;
        var subscription = new Subscription();
        try
        {
            await NotifyAsync().WaitAsync(cancellationToken);
            RedisChannel[] channels = keys.Count == 0
                ? [RedisChannel.Pattern(_channelPrefix + "*")]
                : [.. keys.Select(key => RedisChannel.Literal(_channelPrefix + key))];
            foreach (var channel in channels)
            {
                var changes = await _connection.GetSubscriber().SubscribeAsync(channel).WaitAsync(cancellationToken);
                subscription.Add(changes);
                changes.OnMessage(message => TellAsync(((string)message.Channel!)[_channelPrefix.Length..], changed));
            }

            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var options = RedisConnection.Read(metadata);
        // Nothing here writes, so what is asked may wait for the connection: that of subscriptions comes after the other.
        options.BacklogPolicy = BacklogPolicy.Default;
        return new RedisConfigurationStore(await RedisConnection.OpenAsync(options), context.Logger);
    }

    private async Task<string[]> KeysAsync() => (string[])(await _database.ExecuteAsync("KEYS", "*"))!;

    private async Task<ConfigurationEntry> GetAsync(string key)
    {
        try
        {
            var value = await _database.StringGetAsync(key);
            return value.IsNull ? ConfigurationEntry.None : Read(value.ToString());
        }
        catch (RedisServerException e) when (e.Message.Contains("WRONGTYPE", StringComparison.Ordinal))
        {
            return ConfigurationEntry.None;
        }
        catch (Exception e) when (e is RedisException or RedisTimeoutException)
        {
            throw new RedisException($"fail to get configuration for redis key={key}, error is {e.Message}", e);
        }
    }

    private static ConfigurationEntry Read(string text)
    {
        var parts = text.Split(Separator);
        return parts[0].Length == 0 ? ConfigurationEntry.None : new(parts[0], parts.ElementAtOrDefault(1) is { Length: > 0 } version ? version : null);
    }

    private async Task TellAsync(string key, Func<string, ConfigurationEntry, Task> changed)
    {
        try
        {
            await changed(key, await GetAsync(key));
        }
        catch (Exception e)
        {
            _logger.LogError("The change of {Key} could not be told: {Reason}", key, e.Message);
        }
    }

    private async Task NotifyAsync()
    {
        try
        {
            await _database.ExecuteAsync("CONFIG", "SET", "notify-keyspace-events", Notifications);
        }
        catch (Exception e) when (e is RedisException or RedisTimeoutException)
        {
            _logger.LogWarning(
                "Redis does not let its keyspace notifications be switched on; changes are told only if its notify-keyspace-events has {Notifications}: {Reason}",
                Notifications, e.Message);
        }
    }

    private sealed class Subscription : IAsyncDisposable
    {
        private readonly List<ChannelMessageQueue> _changes = [];

        public void Add(ChannelMessageQueue changes) => _changes.Add(changes);

        public async ValueTask DisposeAsync()
        {
            foreach (var changes in _changes)
                await changes.UnsubscribeAsync(CommandFlags.FireAndForget);
        }
    }
}
