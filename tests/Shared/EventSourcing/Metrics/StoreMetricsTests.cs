using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing.Metrics;
using DaprOrders.EventSourcing.Tests.Store;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.EventSourcing.Tests.Metrics;

public sealed class StoreMetricsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_commit_counts_with_its_streams_its_events_by_type_and_what_the_broker_took_of_them()
    {
        using var measured = new Measured();
        await using (var calm = new CalmStore())
        {
            await calm.BookAsync("a", 1, 2);
            await calm.Store.HandleAsync(CalmStore.Category, "b", _ => new Closed(), new CommandContext(), Cancellation);
        }

        Assert.Equal([1, 1], measured.Of("eventstore.commits"));
        Assert.Equal([1, 1], measured.Of("eventstore.commit.streams"));
        Assert.Equal(2, measured.Of("eventstore.commit.duration").Count);
        Assert.Equal(2, measured.Of("eventstore.events", nameof(Booked)).Sum());
        Assert.Equal(1, measured.Of("eventstore.events", nameof(Closed)).Sum());
        Assert.Equal(3, measured.Of("eventstore.published", "ledgers").Sum());
        Assert.Empty(measured.Of("eventstore.conflicts"));
        Assert.Empty(measured.Of("eventstore.publication.failures"));
    }

    [Fact]
    public async Task An_append_on_a_stream_that_others_changed_counts_as_a_conflict()
    {
        using var measured = new Measured();
        await using var calm = new CalmStore();
        await calm.BookAsync("a", 1);

        await calm.Store.HandleAsync(CalmStore.Category, "a", _ => new Booked(2, ""), new CommandContext(LikelyNew: true), Cancellation);

        Assert.Equal([1], measured.Of("eventstore.conflicts"));
        Assert.Equal([1, 1], measured.Of("eventstore.commits"));
    }

    [Fact]
    public async Task While_the_broker_takes_nothing_the_lag_grows_and_the_failures_count()
    {
        using var measured = new Measured();
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        await using var calm = new CalmStore(refusal: _ => "The broker is away.");
        StoreGauges.Observe(calm.Store, services.GetRequiredService<IMeterFactory>());
        measured.Observe();

        await calm.BookAsync("a", 1);
        await calm.BookAsync("a", 2);
        while (measured.Of("eventstore.publication.failures", "ledgers").Count == 0)
            await Task.Yield();
        measured.Observe();
        calm.Refusal = _ => null;
        await calm.UntilPublishedAsync(published => published.Count >= 2, Cancellation);
        while (calm.Store.Unpublished > 0)
            await Task.Yield();
        measured.Observe();

        Assert.Equal([0, 2, 0], measured.Of("eventstore.unpublished"));
        Assert.True(measured.Of("eventstore.relay.lag") is [0, > 0, 0], string.Join(", ", measured.Of("eventstore.relay.lag")));
        Assert.All(measured.Of("eventstore.loss"), loss => Assert.Equal(0, loss));
    }

    [Fact]
    public async Task Commands_and_bytes_that_wait_for_a_commit_are_seen()
    {
        using var measured = new Measured();
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        await using var calm = new CalmStore();
        await calm.BookAsync("a", 1);
        StoreGauges.Observe(calm.Store, services.GetRequiredService<IMeterFactory>());
        var open = new TaskCompletionSource();
        calm.Gate = open.Task;

        var waiting = calm.BookAsync("b", 1);
        await calm.AtGate;
        measured.Observe();
        open.SetResult();
        await waiting;
        measured.Observe();

        Assert.Equal([1, 0], measured.Of("eventstore.queue.commands"));
        Assert.True(measured.Of("eventstore.queue.size") is [> 0, 0], string.Join(", ", measured.Of("eventstore.queue.size")));
    }

    [Fact]
    public async Task A_lane_that_was_left_behind_counts_when_it_is_adopted()
    {
        using var measured = new Measured();
        var brief = new EventStoreOptions { Lease = TimeSpan.FromMilliseconds(300), CallTimeout = TimeSpan.FromMilliseconds(150), Instance = "one" };
        var gone = new CalmStore(brief, refusal: _ => "The broker is away.");
        await gone.BookAsync("a", 1);
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync();
        await gone.Store.StopAsync(atOnce.Token);

        await using var calm = new CalmStore(brief with { Instance = "other" }, other: gone);
        await calm.UntilPublishedAsync(published => published.Count > 0, Cancellation);

        Assert.Equal([1], measured.Of("eventstore.adoptions"));
    }
}
