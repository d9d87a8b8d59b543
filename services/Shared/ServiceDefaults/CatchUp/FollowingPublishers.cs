using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>
/// The broker is fast, the log is the truth: every publisher whose topics this service handles is followed through its event log, some seconds
/// behind, so that what a topic lost is handled all the same.
/// </summary>
internal sealed class FollowingPublishers(
    TopicRegistry topics,
    PublisherLanes lanes,
    IPublisherLogs logs,
    Documents documents,
    DeadLetterStore deadLetters,
    RefusedEvents refused,
    DaprSettings dapr,
    IOptions<CatchUpOptions> options,
    TimeProvider time,
    ILogger<FollowingPublishers> logger,
    EventStore? own = null) : BackgroundService
{
    /// <summary>At a start the publishers may be a little later than their consumers.</summary>
    private const int LooksUntilTold = 2;

    private static readonly Meter Meter = new("DaprOrders.CatchUp");
    private static readonly Gauge<long> BehindCommits = Meter.CreateGauge<long>(
        "catchup.behind", "{commit}", "Commits of a publisher's log that this replica follows and has not dealt with, by publisher.");

    private static readonly Gauge<long> WaitingEvents = Meter.CreateGauge<long>(
        "catchup.waiting", "{event}", "Events that a publisher's log has and that are not known to be handled, of the lanes that this replica follows, by topic.");

    /// <summary>Of a lane that another replica follows.</summary>
    private const int EntriesLookedThrough = 1000;

    private readonly ConcurrentDictionary<string, (string Error, int Looks)> _failures = [];
    private readonly ConcurrentDictionary<(string Publisher, string Lane), LaneFollower> _followers = [];

    /// <summary>What cannot be followed now, and the topics that bring nothing; empty when all is well.</summary>
    public IReadOnlyList<string> Warnings =>
    [
        .. _failures.Where(failure => failure.Value.Looks >= LooksUntilTold).Select(failure => $"The event log of {failure.Key} cannot be followed: {failure.Value.Error}"),
        .. topics.Followed.Select(topic => topic.Silence.Warning).OfType<string>(),
    ];

    /// <summary>Up to where the logs are dealt with, by whichever replica; a publisher that does not name its lanes now has none here.</summary>
    public async Task<IReadOnlyList<FollowedPublisher>> ReadAsync(CancellationToken cancellationToken) => await Task.WhenAll(
        topics.Followed.GroupBy(topic => topic.Publisher).Select(async publisher =>
        {
            var read = await ReadLanesAsync(publisher.Key, cancellationToken);
            return new FollowedPublisher(
                publisher.Key,
                [.. publisher.Select(topic => topic.Name).Order(StringComparer.Ordinal)],
                read,
                await ReadWaitingAsync(publisher.Key, [.. publisher.OrderBy(topic => topic.Name, StringComparer.Ordinal)], read, cancellationToken));
        }));

    private async Task<IReadOnlyList<WaitingTopic>?> ReadWaitingAsync(
        string publisher, IReadOnlyList<Topic> handled, IReadOnlyList<FollowedLane> read, CancellationToken cancellationToken)
    {
        if (read.Count == 0)
            return null;
        try
        {
            var counts = await Task.WhenAll(read.Select(async lane => _followers.TryGetValue((publisher, lane.Lane), out var follower) && follower.Waiting is { } waiting
                ? (Waiting: waiting, IsAll: follower.HasReadAll)
                : await LookThroughAsync(publisher, lane, handled, cancellationToken)));
            return [.. handled.Select(topic => new WaitingTopic(topic.Name, counts.Sum(lane => lane.Waiting.GetValueOrDefault(topic.Name)), counts.All(lane => lane.IsAll)))];
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    // The replica that follows the lane knows better; which one that is nobody tells.
    private async Task<(IReadOnlyDictionary<string, int> Waiting, bool IsAll)> LookThroughAsync(
        string publisher, FollowedLane lane, IReadOnlyList<Topic> handled, CancellationToken cancellationToken)
    {
        var entries = await logs.ReadEntriesAsync(publisher, lane.Lane, lane.Position, EntriesLookedThrough, cancellationToken);
        var waiting = handled.ToDictionary(topic => topic.Name, topic => entries.Entries.Where(entry => entry.Topic == topic.Name)
            .Sum(entry => Enumerable.Range(0, (int)(entry.To - entry.From) + 1).Count(i => !topic.Handled.Has(entry.Stream, entry.From + i))));
        return (waiting, entries.Next >= entries.Settled);
    }

    private async Task<IReadOnlyList<FollowedLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> names;
        try
        {
            names = await lanes.ReadAsync(publisher, cancellationToken);
        }
        catch (HttpRequestException)
        {
            return [];
        }

        return await Task.WhenAll(names.Select(async lane =>
            new FollowedLane(lane, await LaneCursor.ReadPositionAsync(documents, CursorKey(publisher, lane), cancellationToken))));
    }

    private static string CursorKey(string publisher, string lane) => $"catch-up|{publisher}|{lane}";

    // Every topic is mapped before the host starts.
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.WhenAll(topics.Followed.GroupBy(topic => topic.Publisher).Select(
            publisher => FollowAsync(publisher.Key, publisher.ToDictionary(topic => topic.Name), stoppingToken)));
    }

    private async Task FollowAsync(string publisher, Dictionary<string, Topic> handled, CancellationToken stoppingToken)
    {
        try
        {
            if (own is not null)
                await own.Ready.WaitAsync(stoppingToken);
            var recoveries = own?.Recoveries;
            while (!stoppingToken.IsCancellationRequested)
            {
                // While the own store lacks what was committed, nothing can be handled, and nothing that is known of it is right.
                if (own?.Loss is null)
                {
                    if (own?.Recoveries != recoveries)
                    {
                        foreach (var topic in handled.Values)
                            topic.Handled.Clear();
                        recoveries = own?.Recoveries;
                    }

                    await LookAsync(publisher, handled, stoppingToken);
                }

                await Task.Delay(options.Value.LookEvery, time, stoppingToken);
            }
        }
        catch (Exception) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping; a call that is cut off may say it in other words.
        }

        await ReleaseAsync(FollowersOf(publisher));
    }

    private IReadOnlyCollection<LaneFollower> FollowersOf(string publisher) => [.. _followers.Where(of => of.Key.Publisher == publisher).Select(of => of.Value)];

    private async Task LookAsync(string publisher, Dictionary<string, Topic> handled, CancellationToken stoppingToken)
    {
        Exception? failure = null;
        IReadOnlyList<string> names = [.. _followers.Keys.Where(of => of.Publisher == publisher).Select(of => of.Lane)];
        try
        {
            names = await lanes.ReadAsync(publisher, stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            failure = exception;
        }

        foreach (var lane in names)
        {
            try
            {
                await _followers.GetOrAdd((publisher, lane), _ => Follower(publisher, lane, handled)).LookAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                failure = exception;
            }
        }

        var followers = FollowersOf(publisher);
        BehindCommits.Record(followers.Sum(follower => follower.Behind), new KeyValuePair<string, object?>("publisher", publisher));
        foreach (var topic in handled.Keys)
            WaitingEvents.Record(followers.Sum(follower => follower.Waiting?.GetValueOrDefault(topic) ?? 0), new KeyValuePair<string, object?>("topic", topic));
        foreach (var topic in handled.Values)
            await topic.Silence.LookAsync(documents, dapr.Instance, options.Value.LookEvery, logger, stoppingToken);
        Note(publisher, failure);
    }

    private LaneFollower Follower(string publisher, string lane, Dictionary<string, Topic> handled) => new(
        publisher,
        lane,
        new LaneCursor(documents, CursorKey(publisher, lane), dapr.Instance, options.Value.LookEvery, time, () => own?.Recoveries ?? 0),
        documents,
        logs,
        handled,
        deadLetters,
        refused,
        options.Value,
        time,
        logger);

    // Said once, not at every look.
    private void Note(string publisher, Exception? failure)
    {
        if (failure is null)
        {
            if (_failures.TryRemove(publisher, out var former) && former.Looks >= LooksUntilTold)
                logger.LogInformation("The event log of {Publisher} can be followed again", publisher);
            return;
        }

        var looks = _failures.AddOrUpdate(publisher, (failure.Message, 1), (_, former) => (failure.Message, former.Looks + 1)).Looks;
        if (looks == LooksUntilTold)
        {
            logger.LogWarning(
                "The event log of {Publisher} cannot be followed now; it is tried again every {LookEvery}: {Error}",
                publisher, options.Value.LookEvery, FailureLog.Describe(failure));
        }
    }

    private static async Task ReleaseAsync(IEnumerable<LaneFollower> followers)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            await Task.WhenAll(followers.Select(follower => follower.ReleaseAsync(limit.Token)));
        }
        catch (Exception)
        {
            // Another replica takes the lanes when their time is up.
        }
    }
}
