using System.Collections.Concurrent;
using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>
/// Follows one lane of a publisher's event log, some time behind, and hands over what no delivery brought. What a page names is waited for; what
/// has not come when its time is up is fetched, stream by stream in one call. A page is done when all of it is; the cursor stands before the
/// first page that is not. A few that cannot be had for long are noted aside, and asked for again and again, so that it does not stand for ever.
/// </summary>
internal sealed class LaneFollower(
    string publisher,
    string lane,
    LaneCursor cursor,
    Documents documents,
    IPublisherLogs logs,
    IReadOnlyDictionary<string, Topic> topics,
    DeadLetterStore deadLetters,
    RefusedEvents refused,
    CatchUpOptions options,
    TimeProvider time,
    ILogger logger)
{
    private const int EntriesInPage = 1000;
    private const int StreamsInCall = 200;

    /// <summary>What a publisher gives of a stream in one answer.</summary>
    private const int VersionsInCall = 1000;

    /// <summary>Streams that are asked for alone and cannot be read, one after the other, before it is the publisher that cannot.</summary>
    private const int MostUnreadable = 3;

    /// <summary>
    /// Entries that wait for their deliveries, or for a store that is away: no more pages are read then. Two looks' worth of a thousand orders a
    /// second, with room: a topic that brings nothing must not fall behind for good.
    /// </summary>
    private const int MostWaiting = 200_000;

    /// <summary>What has waited for so long is noted aside.</summary>
    private static readonly TimeSpan SetAsideAfter = TimeSpan.FromMinutes(10);

    /// <summary>In one document; of more than that, it is the publisher or this service that is to blame.</summary>
    private const int MostAside = 500;

    private readonly string _asideKey = $"catch-up-aside|{publisher}|{lane}";
    private readonly List<Page> _pages = [];
    private readonly List<Missing> _aside = [];

    // By topic, the last position of which a delivery has come: what is missing before it was overtaken.
    private readonly Dictionary<Topic, long> _reached = [];
    private long _read;
    private long _settled;
    private int _term;
    private bool _isNoted;
    private HttpRequestException? _unreadable;

    /// <summary>One look at the log, if no other replica follows this lane.</summary>
    /// <exception cref="HttpRequestException">The publisher does not answer.</exception>
    /// <exception cref="DaprException">The own state store does not.</exception>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        if (!await cursor.TryHoldAsync(cancellationToken))
        {
            (_settled, Waiting) = (0, null);
            return;
        }

        if (_term != cursor.Term)
            await BeginAsync(cancellationToken);

        // What is due comes before what is new: while the publisher cannot be read, the fetches fail too, and nothing is passed over.
        _unreadable = null;
        if (!await TryHandOverAsync(cancellationToken))
            return;

        await ReadAsync(cancellationToken);
        await SetAsideAsync(cancellationToken);
        _pages.RemoveAll(page => page.Waiting.Count == 0);
        Waiting = _pages.SelectMany(page => page.Waiting).Concat(_aside).CountBy(missing => missing.Topic.Name).ToDictionary();
        await cursor.TryMoveAsync(Done, cancellationToken);
        if (_unreadable is not null)
            throw _unreadable;
    }

    public Task ReleaseAsync(CancellationToken cancellationToken) => cursor.ReleaseAsync(Done, cancellationToken);

    /// <summary>Commits of the lane, as far as the last look showed it, that are not dealt with; 0 while another replica follows it.</summary>
    public long Behind => Math.Max(0, _settled - Done);

    /// <summary>Events of each topic that the log has and that are not known to be handled, as the last look saw them; null while another replica follows the lane.</summary>
    public IReadOnlyDictionary<string, int>? Waiting { get; private set; }

    /// <summary>False: the log has more, which the last look did not come to.</summary>
    public bool HasReadAll => _read >= _settled;

    private long Done => _pages.Count > 0 ? _pages[0].After : _read;

    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        _pages.Clear();
        _reached.Clear();
        _aside.Clear();
        foreach (var noted in (await documents.ReadAsync<Aside>(_asideKey, cancellationToken))?.Events ?? [])
        {
            if (topics.TryGetValue(noted.Topic, out var topic))
                _aside.Add(new Missing(topic, noted.Stream, noted.Version, noted.Position));
        }

        (_read, _term, _isNoted) = (cursor.Position, cursor.Term, true);
    }

    // Noted before the cursor passes them.
    private async Task SetAsideAsync(CancellationToken cancellationToken)
    {
        _isNoted &= _aside.RemoveAll(missing => missing.IsDone || HasCome(missing)) == 0;
        var old = _pages.TakeWhile(page => time.GetElapsedTime(page.ReadAt) >= SetAsideAfter).ToList();
        var failing = old.SelectMany(page => page.Waiting).Where(missing => missing.Failures > 0).Except(_aside).ToList();
        if (failing.Count > 0 && _aside.Count + failing.Count <= MostAside)
        {
            logger.LogWarning(
                "{Count} events of {Publisher}, {EventId} among them, could not be read or handled for {SetAsideAfter}; they are tried on beside the others",
                failing.Count, publisher, $"{failing[0].Stream}:{failing[0].Version}", SetAsideAfter);
            _aside.AddRange(failing);
            _isNoted = false;
        }

        if (!_isNoted)
        {
            var aside = new Aside([.. _aside.Select(missing => new AsideEvent(missing.Topic.Name, missing.Stream, missing.Version, missing.Position))]);
            await documents.ChangeAsync<Aside>(_asideKey, _ => aside, cancellationToken);
            _isNoted = true;
            old.ForEach(page => page.Waiting.RemoveAll(_aside.Contains));
        }
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (_pages.Sum(page => page.Waiting.Count) < MostWaiting)
        {
            var entries = await logs.ReadEntriesAsync(publisher, lane, _read, EntriesInPage, cancellationToken);
            _settled = entries.Settled;
            if (entries.Next == _read)
                return;

            LostHistory.Tell(publisher, lane, entries.Lost, logger);
            var page = new Page(_read, time.GetTimestamp(), [.. entries.Entries.SelectMany(NotHandled)]);
            _read = entries.Next;
            _pages.Add(page);
            if (entries.Next >= entries.Settled)
                return;
        }
    }

    // A topic that this service does not handle is nobody's loss here.
    private IEnumerable<Missing> NotHandled(LogEntry entry)
    {
        if (entry.Topic is null || !topics.TryGetValue(entry.Topic, out var topic))
            yield break;

        for (var version = entry.From; version <= entry.To; version++)
        {
            var missing = new Missing(topic, entry.Stream, version, entry.Position);
            if (!HasCome(missing))
                yield return missing;
        }
    }

    private bool HasCome(Missing missing)
    {
        if (!missing.Topic.Handled.Has(missing.Stream, missing.Version))
            return false;

        _reached[missing.Topic] = Math.Max(_reached.GetValueOrDefault(missing.Topic), missing.Position);
        return true;
    }

    // A topic that is only late brings what was published before first.
    private bool IsLost(Missing missing, TimeSpan age) =>
        _reached.GetValueOrDefault(missing.Topic) > missing.Position || missing.Topic.Silence.HasLasted(options.Behind) || age >= options.BehindAtMost;

    /// <returns>False: the lane is ours no longer.</returns>
    private async Task<bool> TryHandOverAsync(CancellationToken cancellationToken)
    {
        var due = _pages.TakeWhile(page => time.GetElapsedTime(page.ReadAt) >= options.Behind).ToList();
        foreach (var page in _pages)
            page.Waiting.RemoveAll(HasCome);

        var lost = due.SelectMany(page => page.Waiting.Where(missing => IsLost(missing, time.GetElapsedTime(page.ReadAt)))).Concat(_aside).ToList();
        // Those that failed come last, so that they keep no others waiting.
        foreach (var streams in lost.GroupBy(missing => (missing.Topic, missing.Stream)).OrderBy(stream => stream.Max(missing => missing.Failures)).Chunk(StreamsInCall))
        {
            await HandOverAsync([.. streams.Select(missing => missing.OrderBy(one => one.Version).ToList())], cancellationToken);
            // It may take long; who is still there says so, and who was taken for gone does not go on beside the other.
            if (!await cursor.TryMoveAsync(Done, cancellationToken))
                return false;
        }

        foreach (var page in due)
            page.Waiting.RemoveAll(missing => missing.IsDone);
        return true;
    }

    /// <param name="open">What is missing of each stream, in order of version.</param>
    /// <returns>False: the publisher answered that it cannot give them.</returns>
    private async Task<bool> HandOverAsync(List<List<Missing>> open, CancellationToken cancellationToken)
    {
        var found = new ConcurrentBag<string>();
        while (open.Count > 0)
        {
            var asked = open.ConvertAll(missing => missing.TakeWhile(one => one.Version < missing[0].Version + VersionsInCall).ToList());
            StreamEvents answer;
            try
            {
                var ranges = asked.ConvertAll(missing => new StreamRange(missing[0].Stream, missing[0].Version - 1, missing[^1].Version));
                answer = await logs.ReadStreamsAsync(publisher, ranges, cancellationToken);
            }
            catch (HttpRequestException refused) when (refused.StatusCode is not null)
            {
                _unreadable = refused;
                if (open.Count > 1)
                    await HandOverOneByOneAsync(open, cancellationToken);
                else
                    open[0].ForEach(missing => missing.Failures++);
                return false;
            }

            var events = answer.Events.ToLookup(recorded => recorded.Stream);
            await Topic.ForEachAsync(
                asked.Take(answer.Ranges),
                missing => HandOverAsync(missing[0].Topic, missing, [.. events[missing[0].Stream]], found, cancellationToken),
                cancellationToken);
            // The rest of a long stream comes after what is before it.
            open = [.. open.Skip(answer.Ranges), .. open.Take(answer.Ranges).Select((missing, i) => missing[asked[i].Count..]).Where(rest => rest.Count > 0)];
        }

        // Should this fail, the letters stay: sent through again, they change nothing and go.
        await deadLetters.TakeOffAsync(found, cancellationToken);
        return true;
    }

    // The publisher answers, and not this: one stream that it cannot read must not keep the others waiting. It is asked for again at the next look.
    private async Task HandOverOneByOneAsync(List<List<Missing>> open, CancellationToken cancellationToken)
    {
        var unreadable = 0;
        foreach (var missing in open.TakeWhile(_ => unreadable < MostUnreadable))
            unreadable = await HandOverAsync([missing], cancellationToken) ? 0 : unreadable + 1;
    }

    // Between the first and the last that are missing there may be some that were handled: they come along, and change nothing.
    private async Task HandOverAsync(
        Topic topic, List<Missing> missing, IReadOnlyList<RecordedEvent> recorded, ConcurrentBag<string> found, CancellationToken cancellationToken)
    {
        var failure = await topic.TryHandleAsync(recorded, cancellationToken);
        if (failure is not null && missing.Count > 1 && !RefusedEvents.IsBadTimes(failure))
        {
            // One of them is to blame.
            foreach (var one in missing)
                await HandOverAsync(topic, [one], [.. recorded.Where(e => e.Version == one.Version)], found, cancellationToken);
        }
        else if (failure is null)
        {
            // An entry whose commit failed names versions that are not there, or that another entry names too.
            var there = missing.Where(one => recorded.Any(e => e.Version == one.Version)).ToList();
            topic.Silence.Found(there.Count);
            there.ForEach(one => found.Add($"{one.Stream}:{one.Version}"));
            missing.ForEach(one => one.IsDone = true);
            foreach (var one in missing.Where(one => one.Failures > 0))
                await refused.HandledAsync($"{one.Stream}:{one.Version}");
        }
        else
        {
            missing.ForEach(one => one.Failures++);
            missing[0].IsDone = await refused.IsGivenUpAsync(publisher, topic.Name, recorded[0], failure, cancellationToken);
        }
    }

    private sealed record Page(long After, long ReadAt, List<Missing> Waiting);

    private sealed class Missing(Topic topic, string stream, long version, long position)
    {
        public Topic Topic => topic;

        public string Stream => stream;

        public long Version => version;

        public long Position => position;

        public bool IsDone { get; set; }

        public int Failures { get; set; }
    }

    /// <summary>Events that could not be had or handled for long, while the log went on.</summary>
    private sealed record Aside(IReadOnlyList<AsideEvent> Events);

    private sealed record AsideEvent(string Topic, string Stream, long Version, long Position);
}
