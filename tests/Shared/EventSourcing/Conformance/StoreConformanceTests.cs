using DaprOrders.EventSourcing.Tests.Store;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EventSourcing.Tests.Conformance;

/// <summary>
/// What the event store promises, on every kind of state store: the unchanged Dapr client, gRPC, two sidecars, and a real Redis and PostgreSQL.
/// docs/stores.md holds the result.
/// </summary>
public sealed class StoreConformanceTests(StoreServers servers) : IClassFixture<StoreServers>
{
    private const int LongStream = 10_000;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private static readonly CommandContext New = new(LikelyNew: true);

    public static TheoryData<string> Stores => StoreUnderTest.All;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task Of_many_that_create_a_stream_at_once_one_does(string store)
    {
        await using var under = await OpenAsync(store);
        await using var one = new Replica(under.Api(0), "one");
        await using var two = new Replica(under.Api(1), "two");
        string[] ids = [.. Enumerable.Range(0, 25).Select(i => $"new-{i}")];

        var all = await Task.WhenAll(ids.SelectMany(id => new[] { one, two, one, two }.Select((replica, i) => replica.Store.HandleAsync(
            CalmStore.Category,
            id,
            state => state.Bookings == 0 ? new Booked(i, "created") : Decision<LedgerEvent>.Nothing,
            New,
            Cancel))));

        Assert.Equal(ids.Length, all.Sum(handled => handled.Appended.Count));
        foreach (var id in ids)
        {
            var created = Assert.Single(await two.Store.ReadStreamAsync($"ledger-{id}", 0, 10, Cancel));
            Assert.Equal(1, created.Version);
        }
    }

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task No_update_of_two_replicas_is_lost_or_done_twice(string store)
    {
        await using var under = await OpenAsync(store);
        await using var one = new Replica(under.Api(0), "one");
        await using var two = new Replica(under.Api(1), "two");

        await Task.WhenAll(Enumerable.Range(0, 60).Select(i => (i % 2 == 0 ? one : two).BookAsync($"shared-{i % 3}", $"command-{i}", Cancel)));

        string[] booked = [.. (await Task.WhenAll(Enumerable.Range(0, 3).Select(i => EventsAsync(one, $"ledger-shared-{i}")))).SelectMany(Texts)];
        Assert.Equal(60, booked.Length);
        Assert.Equal(60, booked.Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task A_conflict_in_a_batch_fails_none_of_its_neighbours(string store)
    {
        await using var under = await OpenAsync(store);
        await using var one = new Replica(under.Api(0), "one");
        await using var two = new Replica(under.Api(1), "two");
        await one.BookAsync("taken", "first", Cancel);

        // All go in one batch or two; some of them were decided on a stream that was thought to be new.
        var handled = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => (i % 2 == 0 ? one : two).Store.HandleAsync(
            CalmStore.Category, i % 10 == 0 ? "taken" : $"own-{i}", _ => new Booked(1, $"command-{i}"), New, Cancel)));

        Assert.All(handled, one => Assert.Single(one.Appended));
        Assert.Equal(5, (await EventsAsync(one, "ledger-taken")).Count);
    }

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task With_answers_lost_what_was_acknowledged_is_there_once_and_the_rest_once_or_not_at_all(string store)
    {
        await using var under = await OpenAsync(store);
        await using var one = new Replica(under.Api(0), "one", seed: 1);
        await using var two = new Replica(under.Api(1), "two", seed: 2);
        await Task.WhenAll(one.Store.Ready, two.Store.Ready);
        one.LostAnswers = two.LostAnswers = 0.15;

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 120).Select(async i =>
        {
            var text = $"command-{i}";
            try
            {
                await (i % 2 == 0 ? one : two).BookAsync($"stream-{i % 12}", text, Cancel, count: 2);
                return (Text: text, Acknowledged: true);
            }
            catch (Exception e) when (e is EventStoreUnavailableException or IOException)
            {
                return (Text: text, Acknowledged: false);
            }
        }));
        one.LostAnswers = two.LostAnswers = 0;

        var events = (await Task.WhenAll(Enumerable.Range(0, 12).Select(i => EventsAsync(two, $"ledger-stream-{i}")))).SelectMany(e => e).ToList();
        var counts = Texts(events).CountBy(text => text).ToDictionary();
        Assert.All(outcomes, outcome =>
        {
            var count = counts.GetValueOrDefault(outcome.Text);
            Assert.True(count == 2 || (count == 0 && !outcome.Acknowledged), $"{outcome.Text} (acknowledged: {outcome.Acknowledged}) is there {count} times, not twice");
        });
        Assert.Contains(outcomes, outcome => outcome.Acknowledged);
        await AssertLogHoldsAsync(one, events);
    }

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task Every_version_of_a_stream_with_pages_is_read_back_as_it_was(string store)
    {
        await using var under = await OpenAsync(store);
        await using var one = new Replica(under.Api(0), "one", new EventStoreOptions { TipEvents = 4 });
        await using var two = new Replica(under.Api(1), "two", new EventStoreOptions { TipEvents = 4 });
        for (var i = 1; i <= 40; i++)
            await (i % 2 == 0 ? one : two).BookAsync("paged", $"{i}", Cancel);

        for (var version = 1; version <= 40; version++)
        {
            var then = await two.Store.LoadAsync(CalmStore.Category, "paged", version, Cancel);
            Assert.Equal(new Ledger(version, version, false), then!.State);
        }

        Assert.Equal(Enumerable.Range(1, 40).Select(i => $"{i}"), Texts(await EventsAsync(one, "ledger-paged")));
    }

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task A_stream_of_10000_events_is_read_back_whole_and_loaded_with_one_key(string store)
    {
        await using var under = await OpenAsync(store);
        await using (var one = new Replica(under.Api(0), "one"))
        {
            for (var written = 0; written < LongStream; written += 25)
                await one.BookAsync("long", $"from {written}", Cancel, count: 25);
        }

        await using var two = new Replica(under.Api(1), "two");
        await two.Store.Ready;
        var events = await EventsAsync(two, "ledger-long");
        Assert.Equal(LongStream, events.Count);
        Assert.Equal(Enumerable.Range(0, LongStream).Select(i => $"from {i / 25 * 25}"), Texts(events));

        await two.Store.StopAsync(Cancel);
        var before = two.KeysRead;
        var stream = await two.Store.LoadAsync(CalmStore.Category, "long", Cancel);
        Assert.Equal(1, two.KeysRead - before);
        Assert.Equal(new Ledger(LongStream, LongStream, false), stream.State);
    }

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task What_a_replica_committed_before_it_vanished_is_published_by_another(string store)
    {
        var options = new EventStoreOptions { Lease = TimeSpan.FromSeconds(6), CallTimeout = TimeSpan.FromSeconds(5) };
        await using var under = await OpenAsync(store);
        await using var lost = new Replica(under.Api(0), "lost", options) { Publishes = false };
        var committed = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => lost.BookAsync($"left-{i}", "committed", Cancel, count: 2)));
        lost.Vanish();
        Assert.Empty(lost.PublishedIds);

        await using var heir = new Replica(under.Api(1), "heir", options);
        var ids = committed.SelectMany(handled => handled.Appended).Select(e => e.Id).ToList();
        await Task.WhenAll(ids.Select(heir.HasPublishedAsync)).WaitAsync(Patience, Cancel);

        var more = await heir.BookAsync("left-0", "later", Cancel);
        Assert.Equal(3, more.Stream.Version);
        await AssertLogHoldsAsync(heir, [.. committed.SelectMany(handled => handled.Appended), .. more.Appended]);
    }

    private Task<StoreUnderTest> OpenAsync(string store) => StoreUnderTest.OpenAsync(store, servers, Cancel);

    private static IEnumerable<string> Texts(IEnumerable<RecordedEvent> events) => events.Select(e => e.Data.GetProperty("text").GetString()!);

    /// <summary>Whole, and its versions contiguous.</summary>
    private static async Task<IReadOnlyList<RecordedEvent>> EventsAsync(Replica replica, string stream)
    {
        var events = new List<RecordedEvent>();
        while (await replica.Store.ReadStreamAsync(stream, events.Count, 1000, Cancel) is { Count: > 0 } more)
            events.AddRange(more);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(version => (long)version), events.Select(e => e.Version));
        return events;
    }

    /// <summary>The log of all lanes holds each of the events exactly once, and nothing else.</summary>
    private static async Task AssertLogHoldsAsync(Replica replica, List<RecordedEvent> events)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(Patience);
        var logged = new List<string>();
        var positions = new Dictionary<string, long>();
        while (logged.Count < events.Count)
        {
            foreach (var lane in (await replica.Store.ReadLanesAsync(limit.Token)).Lanes)
            {
                while (positions.GetValueOrDefault(lane.Name) < lane.Settled)
                {
                    var page = await replica.Store.ReadLogAsync(lane.Name, positions.GetValueOrDefault(lane.Name), 50, limit.Token);
                    logged.AddRange(page!.Events.Select(e => e.Id));
                    positions[lane.Name] = page.Next;
                }
            }
        }

        Assert.Equal(events.Select(e => e.Id).Order(StringComparer.Ordinal), logged.Order(StringComparer.Ordinal));
    }
}
