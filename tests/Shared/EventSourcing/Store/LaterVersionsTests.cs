using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.EventSourcing.Tests.Store;

/// <summary>
/// While a service's instances are replaced one by one, old ones meet events that new ones wrote. Here the old program knows
/// <see cref="Booked"/> only, the new one <see cref="Closed"/> too.
/// </summary>
public sealed class LaterVersionsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_old_instance_refuses_to_decide_on_a_newer_event_of_its_own_stream_and_changes_nothing()
    {
        await using var calm = new CalmStore();
        await calm.BookAsync("a", 1);
        await calm.Store.HandleAsync(CalmStore.Category, "a", _ => new Closed(), new CommandContext(), Cancellation);
        await using var old = Old.On(calm);

        var refused = await Assert.ThrowsAsync<NewerEventException>(() => old.Store.HandleAsync(
            CalmStore.Category, "a", _ => new Booked(2, ""), new CommandContext(), Cancellation));
        await Assert.ThrowsAsync<NewerEventException>(() => old.Store.ConsumeAsync(
            CalmStore.Category, "a", [CalmStore.Incoming(1)], (_, _) => new Booked(2, ""), Cancellation));
        await Assert.ThrowsAsync<NewerEventException>(() => old.Store.LoadAsync(CalmStore.Category, "a", Cancellation));

        Assert.Contains("'Closed'", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["Booked", "Closed"], (await calm.Store.ReadStreamAsync("ledger-a", 0, 10, Cancellation)).Select(e => e.Type));
    }

    [Fact]
    public async Task The_rest_of_the_old_instance_goes_on()
    {
        await using var calm = new CalmStore();
        await calm.Store.HandleAsync(CalmStore.Category, "a", _ => new Closed(), new CommandContext(), Cancellation);
        await using var old = Old.On(calm);

        var handled = await old.Store.HandleAsync(CalmStore.Category, "b", _ => new Booked(2, ""), new CommandContext(), Cancellation);

        Assert.Equal(2, handled.Stream.State.Balance);
    }

    [Fact]
    public async Task The_log_and_the_relay_of_an_old_instance_carry_newer_events()
    {
        await using var calm = new CalmStore();
        var refusing = new RefusingBroker();
        var later = new EventStore(
            calm, refusing, calm, calm.Types, new EventStoreOptions { Instance = "later" }, TimeProvider.System, NullLogger<EventStore>.Instance);
        var running = later.RunAsync();
        await later.HandleAsync(CalmStore.Category, "a", _ => new Closed(), new CommandContext(), Cancellation);
        await refusing.Asked.WaitAsync(Cancellation);
        // It ends with its event committed and not published; the old program, under its name, takes the lane.
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync();
        await later.StopAsync(atOnce.Token);
        await running;
        await using var old = Old.On(calm, "later");

        await calm.UntilPublishedAsync(published => published.Any(e => e is { Stream: "ledger-a", Type: "Closed" }), Cancellation);
        var lanes = (await old.Store.ReadLanesAsync(Cancellation)).Lanes;
        var pages = await Task.WhenAll(lanes.Select(lane => old.Store.ReadLogAsync(lane.Name, 0, 100, Cancellation)));
        Assert.Contains(pages.SelectMany(page => page!.Events), e => e is { Stream: "ledger-a", Type: "Closed" });
    }

    [Fact]
    public async Task The_position_in_a_source_stream_moves_over_events_of_types_that_are_not_known()
    {
        await using var calm = new CalmStore();
        calm.ElsewhereRecorded.AddRange([CalmStore.Recorded(1), CalmStore.Recorded(2) with { Type = "AddedLater" }, CalmStore.Recorded(3)]);

        var handled = await calm.Store.ConsumeAsync(
            CalmStore.Category, "a", [CalmStore.Incoming(3)], (_, incoming) => new Booked(((Booked)incoming.Payload).Amount, ""), Cancellation);

        Assert.Equal([1, 3], handled.Appended.Select(e => ((Booked)calm.Types.Read(e)).Amount));
        Assert.Equal(3, handled.Stream.Positions["account-1"]);
    }

    [Fact]
    public async Task A_known_type_of_a_later_schema_version_is_no_event_to_pass()
    {
        await using var calm = new CalmStore();
        calm.ElsewhereRecorded.AddRange([CalmStore.Recorded(1) with { SchemaVersion = 2 }]);

        await Assert.ThrowsAsync<UnknownEventException>(() => calm.Store.ConsumeAsync(
            CalmStore.Category, "a", [CalmStore.Incoming(2)], (_, _) => new Booked(1, ""), Cancellation));

        Assert.False((await calm.Store.LoadAsync(CalmStore.Category, "a", Cancellation)).Exists);
    }

    private sealed class Old : IAsyncDisposable
    {
        private Old(EventStore store) => Store = store;

        public EventStore Store { get; }

        public static Old On(CalmStore calm, string instance = "old")
        {
            var store = new EventStore(
                calm, calm, calm, new EventTypes().Add<Booked>(), new EventStoreOptions { Instance = instance }, TimeProvider.System, NullLogger<EventStore>.Instance);
            _ = store.RunAsync();
            return new Old(store);
        }

        public async ValueTask DisposeAsync() => await Store.StopAsync(default);
    }

    private sealed class RefusingBroker : IEventPublisher
    {
        private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Asked => _asked.Task;

        public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
        {
            _asked.TrySetResult();
            return Task.FromException(new InvalidOperationException("The broker takes nothing."));
        }
    }
}
