using System.Diagnostics;
using System.Text.Json;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.PubSub.Redis;

/// <summary>
/// One subscription: takes new messages of the stream as they come, over a connection of its own since it waits on the server for them, and from time
/// to time those that somebody took and did not acknowledge.
/// </summary>
internal sealed class RedisTopic : BrokerSubscription
{
    /// <summary>The fields of a message in its stream. Its content type is not kept.</summary>
    public const string Data = "data";
    public const string Metadata = "metadata";

    private const string NoGroup = "NOGROUP";
    private const string GroupExists = "BUSYGROUP";

    /// <summary>How long the server waits for a message, and hence the end of a subscription at most.</summary>
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    /// <summary>What was taken when the subscription ended waits so long for a place that another replica in this process may hold.</summary>
    private static readonly TimeSpan PlaceAtTheEnd = TimeSpan.FromSeconds(5);

    /// <summary>An answer that comes later than this after its time counts as none, though the server has handed its messages out.</summary>
    private static readonly TimeSpan LatestAnswer = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    private readonly TopicSubscription _subscription;
    private readonly IDatabase _database;
    private readonly ConfigurationOptions _configuration;
    private readonly SemaphoreSlim _workers;
    private readonly Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> _handler;
    private readonly RedisPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly Lock _lock = new();
    private readonly Task _loops;
    private readonly HashSet<string> _held = [];
    private ConnectionMultiplexer? _reading;

    public RedisTopic(
        TopicSubscription subscription,
        IDatabase database,
        ConfigurationOptions configuration,
        SemaphoreSlim workers,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        RedisPubSubOptions options,
        ComponentContext context,
        CancellationToken stopping)
        : base(stopping)
    {
        (_subscription, _database, _configuration, _workers, _handler) = (subscription, database, configuration, workers, handler);
        (_options, _context) = (options, context);
        _loops = Task.Run(FollowAsync, CancellationToken.None);
    }

    private RedisKey Stream => _subscription.Topic;

    /// <summary>Group and consumer have one name, as daprd's: its replicas share what is not acknowledged.</summary>
    private RedisValue Group => _subscription.ConsumerId;

    protected override Task TakesNoMoreAsync() => _loops;

    protected override ValueTask CloseAsync() => _reading?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task FollowAsync()
    {
        while (_reading is null && !IsEnding)
            await TryAsync(BeginAsync);
        Tried();
        await Task.WhenAll(UntilEndAsync(TakeNewAsync), _options.Redelivers ? UntilEndAsync(TakeUnacknowledgedAsync) : Task.CompletedTask);
    }

    private async Task BeginAsync()
    {
        // One that gives no answer must not hold up the end.
        await CreateGroupAsync().WaitAsync(Ended);
        _reading = await ConnectionMultiplexer.ConnectAsync(ForReading());
    }

    private async Task CreateGroupAsync()
    {
        try
        {
            await _database.StreamCreateConsumerGroupAsync(Stream, Group, StreamPosition.Beginning, createStream: true);
        }
        catch (RedisServerException error) when (error.Message.StartsWith(GroupExists, StringComparison.Ordinal))
        {
            // By an earlier run, or by a replica.
        }
    }

    private ConfigurationOptions ForReading()
    {
        var reading = _configuration.Clone();
        reading.AsyncTimeout = (int)Math.Min(int.MaxValue, Math.Max(reading.AsyncTimeout, LatestAnswer.TotalMilliseconds) + Poll.TotalMilliseconds);
        // The answer's shape is then the one that is read below.
        reading.Protocol = RedisProtocol.Resp2;
        return reading;
    }

    private async Task UntilEndAsync(Func<Task> take)
    {
        while (!IsEnding)
            await TryAsync(take);
    }

    private async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (OperationCanceledException) when (IsEnding || Stopping.IsCancellationRequested)
        {
            // The end.
        }
        catch (Exception error)
        {
            _context.Logger.LogError(
                "Topic {Topic} cannot be {What} at Redis for {Consumer}; tried again in {Seconds} s: {Reason}",
                _subscription.Topic, _reading is null ? "subscribed" : "read", _subscription.ConsumerId, AfterFailure.TotalSeconds, error.Message);
            Tried();
            await Task.Delay(AfterFailure, _context.Time, Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TakeNewAsync()
    {
        RedisResult answer;
        try
        {
            // Not cancelled: what the server hands out meanwhile is ours.
            answer = await _reading!.GetDatabase().ExecuteAsync(
                "XREADGROUP", "GROUP", Group, Group, "COUNT", _options.QueueDepth, "BLOCK", (int)Poll.TotalMilliseconds, "STREAMS", Stream, ">");
        }
        catch (RedisServerException error) when (error.Message.StartsWith(NoGroup, StringComparison.Ordinal))
        {
            _context.Logger.LogWarning(
                "The group of {Consumer} is gone from topic {Topic}, by a loss of data or by somebody's hand: it is made again, from the beginning of what is there",
                _subscription.ConsumerId, _subscription.Topic);
            await CreateGroupAsync();
            return;
        }

        if (answer.IsNull)
            return;
        await HandOverAsync([.. ((RedisResult[])answer[0][1]!).Select(entry => new Entry((string)entry[0]!, (RedisValue[])entry[1]!))]);
    }

    private async Task TakeUnacknowledgedAsync()
    {
        while (await TakeLateAsync())
            Ended.ThrowIfCancellationRequested();
        await Task.Delay(_options.RedeliverInterval, _context.Time, Ended);
    }

    /// <summary>False: there are no more that somebody else has left. What is held here is on its way.</summary>
    private async Task<bool> TakeLateAsync()
    {
        var timeout = (long)_options.ProcessingTimeout.TotalMilliseconds;
        var pending = await _database.StreamPendingMessagesAsync(Stream, Group, _options.QueueDepth, RedisValue.Null);
        RedisValue[] late = [.. pending.Where(message => message.IdleTimeInMilliseconds >= timeout && !IsHeld(message.MessageId!)).Select(message => message.MessageId)];
        if (late.Length == 0)
            return false;

        var claimed = (await _database.StreamClaimAsync(Stream, Group, Group, timeout, late)).Where(entry => !entry.IsNull).ToList();
        await HandOverAsync([.. claimed.Select(entry => new Entry(entry.Id!, [.. entry.Values.SelectMany(field => new[] { field.Name, field.Value })]))]);
        return claimed.Count > 0 || await ForgetTrimmedAsync(late);
    }

    /// <summary>What was trimmed from the stream before it was acknowledged can never be handed out. False: a replica was faster, and has them all.</summary>
    private async Task<bool> ForgetTrimmedAsync(RedisValue[] ids)
    {
        var trimmed = false;
        foreach (var id in ids)
        {
            if ((await _database.StreamRangeAsync(Stream, id, id, 1)).Length > 0)
                continue;
            // From Redis 7 on the claim has done it.
            await _database.StreamAcknowledgeAsync(Stream, Group, id);
            trimmed = true;
        }

        return trimmed;
    }

    private bool IsHeld(string id)
    {
        lock (_lock)
            return _held.Contains(id);
    }

    /// <summary>Waits until the application has a place for each. Until it is handled it is held, and is not taken for one that somebody has left.</summary>
    private async Task HandOverAsync(IReadOnlyList<Entry> entries)
    {
        var takenAt = Stopwatch.GetTimestamp();
        lock (_lock)
            _held.UnionWith(entries.Select(entry => entry.Id));
        var handedOver = 0;
        try
        {
            foreach (var entry in entries)
            {
                await PlaceAsync();
                handedOver++;
                Enter();
                _ = HandleAsync(entry, takenAt);
            }
        }
        finally
        {
            lock (_lock)
                _held.ExceptWith(entries.Skip(handedOver).Select(entry => entry.Id));
        }
    }

    private async Task PlaceAsync()
    {
        var began = Stopwatch.GetTimestamp();
        while (!await _workers.WaitAsync(Poll, Stopping))
        {
            if (IsEnding && Stopwatch.GetElapsedTime(began) > PlaceAtTheEnd)
                throw new OperationCanceledException(Ended);
        }
    }

    private async Task HandleAsync(Entry entry, long takenAt)
    {
        await Task.Yield();
        var id = entry.Id;
        try
        {
            var result = await _handler(Read(id, entry.Fields), Stopping);
            var isLate = _options.Redelivers && Stopwatch.GetElapsedTime(takenAt) > _options.ProcessingTimeout;
            if (result == DeliveryResult.Failed && (isLate || IsEnding))
            {
                _context.Logger.LogWarning(
                    "Message {Id} of topic {Topic} failed at {Consumer} {When}: it comes again",
                    id, _subscription.Topic, _subscription.ConsumerId, isLate ? "after its processingTimeout" : "when the subscription ended");
                return;
            }

            if (result == DeliveryResult.Failed)
            {
                _context.Logger.LogError(
                    "Message {Id} of topic {Topic} failed at {Consumer} and is gone: pubsub.redis acknowledges it. Retries come from a resiliency policy, and a dead-letter topic keeps it",
                    id, _subscription.Topic, _subscription.ConsumerId);
            }

            await _database.StreamAcknowledgeAsync(Stream, Group, id);
        }
        catch (OperationCanceledException) when (Stopping.IsCancellationRequested)
        {
            _context.Logger.LogDebug("Message {Id} of topic {Topic} was in hand at the end: it comes again", id, _subscription.Topic);
        }
        catch (Exception error)
        {
            _context.Logger.LogError(
                error, "Message {Id} of topic {Topic} is not acknowledged for {Consumer}: it comes again after its processingTimeout",
                id, _subscription.Topic, _subscription.ConsumerId);
        }
        finally
        {
            _workers.Release();
            lock (_lock)
                _held.Remove(id);
            Leave();
        }
    }

    private BrokerMessage Read(string id, RedisValue[] fields)
    {
        ReadOnlyMemory<byte> data = default;
        Dictionary<string, string>? metadata = null;
        for (var i = 0; i + 1 < fields.Length; i += 2)
        {
            if (fields[i] == Data)
                data = fields[i + 1];
            else if (fields[i] == Metadata)
                metadata = ReadMetadata(id, fields[i + 1]!);
        }

        return new(data, ContentType: null, metadata);
    }

    private Dictionary<string, string>? ReadMetadata(string id, byte[] json)
    {
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, string>>(json);
        }
        catch (JsonException error)
        {
            _context.Logger.LogWarning("The metadata of message {Id} of topic {Topic} cannot be read: {Reason}", id, _subscription.Topic, error.Message);
            return null;
        }
    }

    private readonly record struct Entry(string Id, RedisValue[] Fields);
}
