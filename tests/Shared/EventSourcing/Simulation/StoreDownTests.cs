using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>Back-pressure: while the state store is away nothing is acknowledged, the queue is bounded, and afterwards work goes on.</summary>
public sealed class StoreDownTests
{
    private const int QueueLimit = 16;

    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);

    [Fact]
    public void Given_a_store_that_is_down_then_no_command_is_acknowledged_and_those_beyond_the_queue_are_refused_at_once()
    {
        var world = new World(1);
        world.Run(
            async () =>
            {
                var faults = new Faults();
                var instance = new SimulatedInstance(world, new SimulatedStore(StoreClass.Sqlite), faults, [], "one", TimeSpan.Zero, api => api);
                instance.Start();
                await CommandAsync(instance, "before");
                faults.FailBefore = 1;

                var began = world.GetUtcNow();
                var outcomes = new List<(bool Acknowledged, TimeSpan After)>();
                await Task.WhenAll(Enumerable.Range(0, 5 * QueueLimit).Select(async i =>
                {
                    var acknowledged = await TryCommandAsync(instance, $"down-{i}");
                    outcomes.Add((acknowledged, world.GetUtcNow() - began));
                }));

                Assert.DoesNotContain(outcomes, outcome => outcome.Acknowledged);
                Assert.Equal(4 * QueueLimit, outcomes.Count(outcome => outcome.After == TimeSpan.Zero));

                faults.End();
                await CommandAsync(instance, "after");
            },
            maxSteps: 100_000);
    }

    [Fact]
    public void Given_a_store_that_is_down_then_it_is_told_once_that_nobody_looks_for_lanes_left_behind_and_once_more_the_next_time()
    {
        var world = new World(1);
        var logged = new Logged(LogLevel.Warning);
        world.Run(
            async () =>
            {
                var faults = new Faults();
                var instance = new SimulatedInstance(world, new SimulatedStore(StoreClass.Sqlite), faults, [], "one", TimeSpan.Zero, api => api, logger: logged);
                instance.Start();
                for (var outage = 1; outage <= 2; outage++)
                {
                    await CommandAsync(instance, $"before-{outage}");
                    faults.FailBefore = 1;
                    await world.DelayAsync(60_000);
                    faults.End();
                    await world.DelayAsync(60_000);

                    Assert.Equal(outage, logged.Messages.Count(message => message.StartsWith("Lanes left behind could not be looked for", StringComparison.Ordinal)));
                }
            },
            maxSteps: 1_000_000);
    }

    private static Task<Handled<Marks>> CommandAsync(SimulatedInstance instance, string name) => instance.Store.HandleAsync(
        Category, name, _ => new Marked(name, 0, 1), new CommandContext(LikelyNew: true), TestContext.Current.CancellationToken);

    private static async Task<bool> TryCommandAsync(SimulatedInstance instance, string name)
    {
        try
        {
            await CommandAsync(instance, name);
            return true;
        }
        catch (EventStoreUnavailableException)
        {
            return false;
        }
    }
}
