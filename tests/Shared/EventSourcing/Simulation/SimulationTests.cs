namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// The event store under every fault that the seed can think of. SIMULATION_SEEDS sets how many seeds each store class runs, SIMULATION_SEED
/// repeats one.
/// </summary>
public sealed class SimulationTests
{
    private const int DefaultSeeds = 250;

    [Theory]
    [InlineData(StoreClass.Sqlite)]
    [InlineData(StoreClass.Postgres)]
    [InlineData(StoreClass.Redis)]
    [InlineData(StoreClass.Separate)]
    public void Whatever_fails_acknowledged_events_are_there_once_in_order_published_and_logged(StoreClass kind)
    {
        var committed = 0;
        foreach (var seed in Seeds())
        {
            try
            {
                var run = new Run(seed, kind);
                run.Execute();
                committed += run.Committed;
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed} on {kind}: {exception.Message} Repeat it with SIMULATION_SEED={seed}.", exception);
            }
        }

        Assert.NotEqual(0, committed);
    }

    private static IEnumerable<int> Seeds()
    {
        if (int.TryParse(Environment.GetEnvironmentVariable("SIMULATION_SEED"), out var only))
        {
            return [only];
        }

        var count = int.TryParse(Environment.GetEnvironmentVariable("SIMULATION_SEEDS"), out var wanted) ? wanted : DefaultSeeds;
        return Enumerable.Range(1, count);
    }
}
