namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>What GET /event-log tells of a lane: who owns it, whether its owner lives, and what the broker does not have yet.</summary>
public sealed class LaneListTests
{
    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);

    private readonly World _world = new(1);
    private readonly SimulatedStore _store = new(StoreClass.Sqlite);
    private readonly Faults _faults = new();

    [Fact]
    public void Given_an_instance_that_is_killed_then_another_tells_that_its_lane_is_left_behind_until_it_has_given_it_back()
    {
        Run(async () =>
        {
            var (one, two) = (Start("one"), Start("two"));
            await CommandAsync(one, "a");
            await CommandAsync(two, "b");
            var of = await LaneOfAsync(two, owner: "one");
            Assert.Equal(["held", "held"], (await ReadAsync(two)).Select(lane => lane.State));

            one.Kill();
            var states = new List<(string State, string? Owner)>();
            while (states.LastOrDefault().State != "free")
            {
                await _world.DelayAsync(50);
                var lane = Assert.Single(await ReadAsync(two), lane => lane.Name == of.Name);
                if (states.LastOrDefault() != (lane.State, lane.Owner))
                    states.Add((lane.State, lane.Owner));
            }

            Assert.Equal([("held", "one"), ("leftBehind", "one"), ("held", "two/adopting"), ("free", null)], states);
        });
    }

    [Fact]
    public void Given_a_broker_that_is_away_then_its_owner_and_others_tell_what_is_not_published()
    {
        Run(async () =>
        {
            var (one, two) = (Start("one"), Start("two"));
            await CommandAsync(one, "a");
            await UntilAsync(async () => (await LaneOfAsync(one, "one")).Unpublished == 0);
            _faults.BrokerDownUntil = DateTimeOffset.MaxValue;
            foreach (var id in new[] { "b", "c", "d" })
                await CommandAsync(one, id);

            Assert.Equal(3, (await LaneOfAsync(one, "one")).Unpublished);
            await UntilAsync(async () => (await LaneOfAsync(two, "one")).Unpublished == 3);

            _faults.End();
            await UntilAsync(async () => (await LaneOfAsync(one, "one")).Unpublished == 0 && (await LaneOfAsync(two, "one")).Unpublished == 0);
        });
    }

    private void Run(Func<Task> course) => _world.Run(course, maxSteps: 100_000);

    private SimulatedInstance Start(string name)
    {
        var instance = new SimulatedInstance(_world, _store, _faults, [], name, TimeSpan.Zero, api => api);
        instance.Start();
        return instance;
    }

    private async Task UntilAsync(Func<Task<bool>> isSo)
    {
        while (!await isSo())
            await _world.DelayAsync(50);
    }

    private static async Task<LogLane> LaneOfAsync(SimulatedInstance asked, string owner) => Assert.Single(await ReadAsync(asked), lane => lane.Owner == owner);

    private static async Task<IReadOnlyList<LogLane>> ReadAsync(SimulatedInstance asked) =>
        (await asked.Store.ReadLanesAsync(TestContext.Current.CancellationToken)).Lanes;

    private static Task<Handled<Marks>> CommandAsync(SimulatedInstance instance, string id) => instance.Store.HandleAsync(
        Category, id, _ => new Marked(id, 0, 1), new CommandContext(LikelyNew: true), TestContext.Current.CancellationToken);
}
