using Dapr;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>The consumer's side of one running service: its topic, and its followers of the publisher's log. It lives and dies with its instance.</summary>
internal sealed class SimulatedConsumer
{
    public const string Publisher = "self";
    public const string TopicName = "marks";

    public static readonly CatchUpOptions Options = new() { Behind = TimeSpan.FromSeconds(2), Attempts = 3 };

    /// <summary>Whoever is gone has been noticed, whatever is late has been given up, and all attempts have been made.</summary>
    public static readonly TimeSpan HasCaughtUpWithin =
        TimeSpan.FromSeconds(20) + (Options.LookEvery * LaneCursor.LooksUntilGone) + Options.BehindAtMost + (Options.LookEvery * Options.Attempts);

    private static readonly EventSigning Unsigned = EventSigning.From(new ConfigurationBuilder().Build());

    private readonly World _world;
    private readonly SimulatedInstance _instance;
    private readonly string _name;
    private readonly IPublisherLogs _logs;
    private readonly Documents _documents;
    private readonly FailureLog _failures;
    private readonly Topic _topic;
    private readonly Dictionary<string, LaneFollower> _followers = [];
    private bool _stopped;

    public SimulatedConsumer(
        World world,
        SimulatedInstance instance,
        string name,
        IPublisherLogs logs,
        StateInMemory state,
        Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle)
    {
        (_world, _instance, _name, _logs) = (world, instance, name, logs);
        _documents = DocumentsOf(state, world);
        _failures = new FailureLog(_documents, world, NullLogger<FailureLog>.Instance);
        _topic = new Topic(
            TopicName,
            Publisher,
            handle,
            new HandledEvents(Options.BehindAtMost, world),
            SimulatedInstance.Types,
            Unsigned,
            new UnknownTypes(NullLogger<UnknownTypes>.Instance),
            _failures,
            world,
            NullLogger<Topic>.Instance);
    }

    /// <summary>For a mutant only: what this process believes to have handled.</summary>
    public HandledEvents Handled => _topic.Handled;

    public static Documents DocumentsOf(StateInMemory state, World world) => new(state.Client, state, "statestore") { Time = world, Jitter = world.Random };

    public static DeadLetterStore LettersOf(StateInMemory state, World world)
    {
        var documents = DocumentsOf(state, world);
        return new DeadLetterStore(documents, new FailureLog(documents, world, NullLogger<FailureLog>.Instance), new TopicRegistry(), world);
    }

    public static string CursorOf(string lane) => $"catch-up|{lane}";

    /// <summary>What a broker brings; false when it is to be brought again.</summary>
    public async Task<bool> DeliverAsync(RecordedEvent recorded)
    {
        await _instance.RunningAsync();
        var statuses = await _topic.DeliverAsync([PublishedEvents.ToCloudEvent(Publisher, TopicName, recorded, Unsigned)], default);
        await _instance.RunningAsync();
        return statuses[0] != DeliveryStatus.Retry;
    }

    /// <summary>Looks at the publisher's log again and again, until the instance is stopped or dead.</summary>
    public async Task FollowAsync()
    {
        var lanes = new PublisherLanes(_logs, _world);
        var letters = new DeadLetterStore(_documents, _failures, new TopicRegistry(), _world);
        var refused = new RefusedEvents(letters, Unsigned, Microsoft.Extensions.Options.Options.Create(Options), _world, NullLogger<RefusedEvents>.Instance);
        while (!_stopped && !_instance.Killed)
        {
            await _instance.RunningAsync();
            try
            {
                foreach (var lane in await lanes.ReadAsync(Publisher, default))
                {
                    if (!_followers.TryGetValue(lane, out var follower))
                    {
                        var cursor = new LaneCursor(_documents, CursorOf(lane), _name, Options.LookEvery, _world, () => 0);
                        var topics = new Dictionary<string, Topic> { [TopicName] = _topic };
                        _followers.Add(lane, follower = new LaneFollower(Publisher, lane, cursor, _documents, _logs, topics, letters, refused, Options, _world, NullLogger.Instance));
                    }

                    await follower.LookAsync(default);
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or DaprException)
            {
                // It looks again.
            }

            await Task.Delay(Options.LookEvery, _world);
        }
    }

    public async Task StopAsync()
    {
        _stopped = true;
        try
        {
            await Task.WhenAll(_followers.Values.Select(follower => follower.ReleaseAsync(default)));
        }
        catch (DaprException)
        {
            // Another takes the lanes when their time is up.
        }
    }
}

/// <summary>The publisher's log as a consumer reaches it: by calls of any of its instances, which may fail, or never end where the caller is dead.</summary>
internal sealed class SimulatedLogs(World world, SimulatedInstance caller, Func<EventStore> publisher) : IPublisherLogs
{
    public Task<IReadOnlyList<LogLane>> ReadLanesAsync(string service, CancellationToken cancellationToken) =>
        CallAsync(async store => (await store.ReadLanesAsync(cancellationToken)).Lanes);

    public Task<LogPage> ReadLaneAsync(string service, string lane, long after, int limit, CancellationToken cancellationToken) =>
        CallAsync(async store => await store.ReadLogAsync(lane, after, limit, cancellationToken) ?? throw new HttpRequestException("no such lane"));

    // Few at a time, so that pages end in the middle of everything.
    public Task<LogEntries> ReadEntriesAsync(string service, string lane, long after, int limit, CancellationToken cancellationToken) => CallAsync(
        async store => await store.ReadLogEntriesAsync(lane, after, Math.Min(limit, 1 + world.Random.Next(8)), cancellationToken)
            ?? throw new HttpRequestException("no such lane"));

    public Task<StreamEvents> ReadStreamsAsync(string service, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) =>
        CallAsync(store => store.ReadStreamsAsync([.. ranges.Take(1 + world.Random.Next(ranges.Count))], cancellationToken));

    private async Task<T> CallAsync<T>(Func<EventStore, Task<T>> call)
    {
        await caller.RunningAsync();
        try
        {
            // A process that is killed never answers, and its caller waits no longer than its time limit.
            var answer = await call(publisher()).WaitAsync(TimeSpan.FromSeconds(10), world);
            await caller.RunningAsync();
            return answer;
        }
        catch (Exception exception) when (exception is EventStoreUnavailableException or TimeoutException or OperationCanceledException)
        {
            throw new HttpRequestException(exception.Message, exception);
        }
    }
}
