namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// Where an instance that is asked to stop can neither commit nor publish, it does not try for as long as it may: after a lease its lane is another's, whatever
/// it does. What it leaves is published by that other.
/// </summary>
public sealed class StopTests
{
    public enum Away
    {
        Broker,
        Sidecar,
    }

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);
    private static readonly TimeSpan TwoLeases = TimeSpan.FromSeconds(20);
    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);

    [Theory]
    [InlineData(Away.Broker)]
    [InlineData(Away.Sidecar)]
    public void Given_unpublished_events_and_nobody_who_takes_them_when_asked_to_stop_then_it_ends_and_another_publishes_them(Away away) => Run(async (world, faults, one, published) =>
    {
        faults.BrokerDownUntil = world.GetUtcNow() + Long;
        await CommandAsync(one, "left");
        if (away == Away.Sidecar)
            one.CutOff(Long);

        await EndsAsync(world, one);

        Assert.Empty(published);
        faults.End();
        await UntilPublishedAsync(world, published, "left");
    });

    [Fact]
    public void Given_a_commit_that_is_not_answered_when_asked_to_stop_then_it_ends_and_the_command_is_told() => Run(async (world, _, one, _) =>
    {
        one.CutOff(Long);
        var command = CommandAsync(one, "unknown");

        await EndsAsync(world, one);

        await Assert.ThrowsAsync<EventStoreUnavailableException>(() => command);
    });

    [Fact]
    public void Given_a_broker_that_is_slow_when_asked_to_stop_then_it_ends_with_all_that_was_committed_published() => Run(async (world, faults, one, published) =>
    {
        faults.BrokerDownUntil = world.GetUtcNow() + TimeSpan.FromSeconds(4);
        await CommandAsync(one, "late");

        await EndsAsync(world, one);

        Assert.Equal(["late"], Names(published));
    });

    private static void Run(Func<World, Faults, SimulatedInstance, List<RecordedEvent>, Task> test)
    {
        var world = new World(1);
        world.Run(
            async () =>
            {
                var (store, faults, published) = (new SimulatedStore(StoreClass.Sqlite), new Faults(), new List<RecordedEvent>());
                var one = new SimulatedInstance(world, store, faults, published, "one", TimeSpan.Zero, api => api);
                var other = new SimulatedInstance(world, store, faults, published, "other", TimeSpan.Zero, api => api);
                one.Start();
                other.Start();
                await one.Store.Ready;
                await other.Store.Ready;
                await test(world, faults, one, published);
            },
            maxSteps: 1_000_000);
    }

    private static async Task EndsAsync(World world, SimulatedInstance instance)
    {
        var began = world.GetUtcNow();
        await instance.Store.StopAsync(CancellationToken.None);
        Assert.InRange(world.GetUtcNow() - began, TimeSpan.Zero, TwoLeases);
    }

    private static async Task UntilPublishedAsync(World world, List<RecordedEvent> published, string name)
    {
        var limit = world.GetUtcNow() + TimeSpan.FromMinutes(1);
        while (!Names(published).Contains(name))
        {
            Assert.True(world.GetUtcNow() < limit, $"{name} was not published within a minute of its world");
            await world.DelayAsync(1_000);
        }
    }

    private static IEnumerable<string> Names(IEnumerable<RecordedEvent> published) => published.Select(e => ((Marked)SimulatedInstance.Types.Read(e)).Command).Distinct();

    private static Task<Handled<Marks>> CommandAsync(SimulatedInstance instance, string name) => instance.Store.HandleAsync(
        Category, name, _ => new Marked(name, 0, 1), new CommandContext(LikelyNew: true), TestContext.Current.CancellationToken);
}
