using DaprOrders.EventSourcing.Lanes;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>Two instances that bear one name for good, as containers do whose machine names and ports are alike.</summary>
public sealed class NamesakeTests
{
    private const int Rounds = 200;

    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);

    [Theory]
    [InlineData(StoreClass.Sqlite)]
    [InlineData(StoreClass.Redis)]
    public void Given_two_running_instances_of_one_name_when_both_work_then_each_keeps_a_lane_of_its_own_and_it_is_told_once(StoreClass kind)
    {
        var world = new World(1);
        var store = new SimulatedStore(kind);
        var logged = new Logged(LogLevel.Error);
        world.Run(
            async () =>
            {
                SimulatedInstance[] twins = [.. Enumerable.Range(0, 2).Select(_ => new SimulatedInstance(
                    world, store, new Faults(), [], "twin", TimeSpan.Zero, api => api, logger: logged))];
                Array.ForEach(twins, twin => twin.Start());
                for (var round = 0; round < Rounds; round++)
                {
                    await world.DelayAsync(2_000);
                    foreach (var (twin, i) in twins.Select((twin, i) => (twin, i)))
                    {
                        await twin.Store.HandleAsync(
                            Category, $"s{i}", _ => new Marked($"{i}-{round}", 0, 1), new CommandContext(), TestContext.Current.CancellationToken);
                    }
                }

                var heads = LaneList.Read(store.Get(LaneList.Key)!.Value).Names.Select(name => Head.Read(store.Get(Head.KeyOf(name))!.Value)).ToList();
                Assert.Equal(["twin", "twin"], heads.Select(head => head.Owner));
                Assert.InRange(heads.Sum(head => head.Epoch), 2, 4);
                Assert.Contains("twin", Assert.Single(logged.Messages));
            },
            maxSteps: 1_000_000);
    }
}
