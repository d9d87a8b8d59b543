using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Tests.Store;

public sealed class ConsumingTests
{
    private static Task<Handled<Ledger>> ConsumeAsync(CalmStore calm, params long[] versions) => ConsumeNeedingAsync(calm, long.MaxValue, versions);

    private static Task<Handled<Ledger>> ConsumeNeedingAsync(CalmStore calm, long neededUpTo, params long[] versions) => calm.Store.ConsumeAsync(
        CalmStore.Category,
        "a",
        [.. versions.Select(CalmStore.Incoming)],
        (_, incoming) => new Booked(((Booked)incoming.Payload).Amount, ""),
        TestContext.Current.CancellationToken,
        neededUpTo);

    [Fact]
    public async Task Events_of_a_source_stream_are_applied_once_however_often_they_come()
    {
        await using var calm = new CalmStore();

        await ConsumeAsync(calm, 1, 2);
        await ConsumeAsync(calm, 1);
        var handled = await ConsumeAsync(calm, 2, 3);

        Assert.Equal(new Ledger(1 + 2 + 3, 3, false), handled.Stream.State);
        Assert.Equal(3, handled.Stream.Positions["account-1"]);
        Assert.Equal(0, calm.Fetches);
    }

    [Fact]
    public async Task A_stream_that_should_be_new_is_created_without_being_read_and_what_comes_again_changes_nothing()
    {
        await using var calm = new CalmStore();
        await calm.Store.Ready;

        await ConsumeFirstAsync(1);
        Assert.Equal(0, calm.StreamsRead);
        var again = await ConsumeFirstAsync(1);
        var more = await ConsumeFirstAsync(2);

        Assert.Empty(again.Appended);
        Assert.Equal(new Ledger(1 + 2, 2, false), more.Stream.State);

        Task<Handled<Ledger>> ConsumeFirstAsync(long version) => calm.Store.ConsumeAsync(
            CalmStore.Category,
            "a",
            [CalmStore.Incoming(version)],
            (_, incoming) => new Booked(((Booked)incoming.Payload).Amount, ""),
            TestContext.Current.CancellationToken,
            neededUpTo: 0,
            likelyNew: true);
    }

    [Fact]
    public async Task Missing_events_are_fetched_from_the_publisher_and_applied_first()
    {
        await using var calm = new CalmStore();
        calm.ElsewhereRecorded.AddRange(Enumerable.Range(1, 5).Select(version => CalmStore.Recorded(version)));

        var handled = await ConsumeAsync(calm, 4);

        Assert.Equal([1, 2, 3, 4], handled.Appended.Select(e => ((Booked)calm.Types.Read(e)).Amount));
        Assert.Equal(4, handled.Stream.Positions["account-1"]);
    }

    [Fact]
    public async Task An_event_that_the_publisher_does_not_have_is_never_jumped_over()
    {
        await using var calm = new CalmStore();

        await Assert.ThrowsAsync<InvalidOperationException>(() => ConsumeAsync(calm, 2));

        Assert.False((await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).Exists);
    }

    [Fact]
    public async Task Missing_events_that_are_not_needed_are_left_out()
    {
        await using var calm = new CalmStore();
        calm.ElsewhereRecorded.AddRange(Enumerable.Range(1, 6).Select(version => CalmStore.Recorded(version)));

        await ConsumeNeedingAsync(calm, 2, 4, 6);
        var handled = await ConsumeNeedingAsync(calm, 2, 3, 5);

        Assert.Equal(1, calm.Fetches);
        Assert.Equal(new Ledger(1 + 2 + 4 + 6, 4, false), handled.Stream.State);
        Assert.Equal(6, handled.Stream.Positions["account-1"]);
    }

    [Fact]
    public async Task Without_needed_events_nothing_is_fetched()
    {
        await using var calm = new CalmStore();

        var handled = await ConsumeNeedingAsync(calm, 0, 3);

        Assert.Equal(0, calm.Fetches);
        Assert.Equal(new Ledger(3, 1, false), handled.Stream.State);
    }

    [Fact]
    public async Task An_event_that_changes_nothing_still_moves_the_position()
    {
        await using var calm = new CalmStore();
        await calm.Store.ConsumeAsync(
            CalmStore.Category, "a", [CalmStore.Incoming(1)], (_, _) => Decision<LedgerEvent>.Nothing, TestContext.Current.CancellationToken);

        var handled = await ConsumeAsync(calm, 2);

        Assert.Equal(0, calm.Fetches);
        Assert.Equal(new Ledger(2, 1, false), handled.Stream.State);
        Assert.Equal(1, handled.Stream.Version);
    }

    [Fact]
    public async Task What_an_event_leads_to_names_it_as_its_cause()
    {
        await using var calm = new CalmStore();

        var handled = await ConsumeAsync(calm, 1);

        Assert.Equal("account-1:1", Assert.Single(handled.Appended).CausationId);
    }

    [Fact]
    public async Task What_follows_from_an_event_that_no_topic_brought_says_how_it_was_found_and_the_rest_says_nothing()
    {
        await using var calm = new CalmStore();
        calm.ElsewhereRecorded.AddRange(Enumerable.Range(1, 6).Select(version => CalmStore.Recorded(version)));

        await ConsumeAsync(calm, 1);
        await ConsumeAsync(calm, 3);
        await calm.Store.ConsumeAsync(
            CalmStore.Category, "a", [CalmStore.Incoming(5) with { FoundBy = IncomingEvent.ByCatchUp }], (_, _) => new Booked(1, ""), TestContext.Current.CancellationToken);
        await calm.BookAsync("a", 1);

        var events = await calm.Store.ReadStreamAsync("ledger-a", 0, 10, TestContext.Current.CancellationToken);
        // Event 4 was asked for because the catch-up brought 5.
        Assert.Equal([null, "gap", null, "catchUp", "catchUp", null], events.Select(e => e.FoundBy));
    }

    [Fact]
    public async Task Where_nothing_is_to_be_said_nothing_is_stored_or_told()
    {
        await using var calm = new CalmStore();
        await ConsumeAsync(calm, 1);

        var recorded = Assert.Single(await calm.Store.ReadStreamAsync("ledger-a", 0, 10, TestContext.Current.CancellationToken));
        var told = System.Text.Json.JsonSerializer.Serialize(recorded, EventTypes.Json);

        Assert.DoesNotContain("foundBy", told, StringComparison.Ordinal);
        Assert.DoesNotContain("spanId", told, StringComparison.Ordinal);
        Assert.Equal(recorded.Id, System.Text.Json.JsonSerializer.Deserialize<RecordedEvent>(told, EventTypes.Json)!.Id);
        var stored = new StoredEvent(1, nameof(Booked), 1, DateTimeOffset.UnixEpoch, null, null, "c", recorded.Data);
        Assert.Equal(["v", "y", "n", "t", "c", "d"], System.Text.Json.JsonDocument.Parse(stored.ToBytes()).RootElement.EnumerateObject().Select(member => member.Name));
    }

    [Fact]
    public async Task Concurrent_deliveries_of_the_same_events_take_effect_once()
    {
        await using var calm = new CalmStore();

        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => ConsumeAsync(calm, 1, 2, 3)));

        Assert.Equal(new Ledger(6, 3, false), (await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).State);
    }
}
