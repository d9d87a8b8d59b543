using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Tests.Store;

/// <summary>Events that a decision asks for by name, however many came since.</summary>
public sealed class NamedEventsTests
{
    private static readonly StreamCategory<Ledger, LedgerEvent> Category =
        CalmStore.Category with { NameOf = happened => happened is Booked { Text.Length: > 0 } booked ? booked.Text : null };

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(40)]
    public async Task An_event_is_found_by_its_name_in_the_tip_and_when_it_has_left_it(int since)
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipEvents = 3 });
        await BookOnceAsync(calm.Store, "first", 7);
        for (var i = 0; i < since; i++)
        {
            await BookOnceAsync(calm.Store, $"later-{i}", 1);
        }

        var handled = await BookOnceAsync(calm.Store, "first", 7);

        Assert.Empty(handled.Appended);
        Assert.Equal(7 + since, handled.Stream.State.Balance);
    }

    [Fact]
    public async Task Commands_that_share_a_commit_find_each_others_names()
    {
        await using var calm = new CalmStore();
        var handled = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => BookOnceAsync(calm.Store, $"name-{i % 5}", 1)));

        Assert.Equal(5, handled.Sum(each => each.Appended.Count));
    }

    [Fact]
    public async Task A_name_that_an_unfinished_attempt_left_stands_in_nobodys_way()
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipEvents = 3 });
        await BookOnceAsync(calm.Store, "first", 7);
        var stored = new StoredEvent(1, nameof(Booked), 1, DateTimeOffset.UnixEpoch, null, null, "c", EventDataOf(new Booked(7, "first")), "first");
        Assert.True(await calm.TrySaveAsync(new StateWrite(StoredEvent.KeyOf("ledger-1", "first"), stored.ToBytes(), null), TestContext.Current.CancellationToken));

        for (var i = 0; i < 10; i++)
        {
            await BookOnceAsync(calm.Store, $"later-{i}", 1);
        }

        Assert.Empty((await BookOnceAsync(calm.Store, "first", 7)).Appended);
        Assert.Empty((await BookOnceAsync(calm.Store, "later-0", 1)).Appended);
    }

    private static System.Text.Json.JsonElement EventDataOf(Booked booked) => System.Text.Json.JsonSerializer.SerializeToElement(booked, EventTypes.Json);

    private static Task<Handled<Ledger>> BookOnceAsync(EventStore store, string name, int amount) => store.HandleAsync(
        Category,
        "1",
        [name],
        (_, known) => known.ContainsKey(name) ? Decision<LedgerEvent>.Nothing : new Booked(amount, name),
        new CommandContext(),
        TestContext.Current.CancellationToken);
}
