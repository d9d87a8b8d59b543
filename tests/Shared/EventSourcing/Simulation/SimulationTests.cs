namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// The event store under every fault that the seed can think of. SIMULATION_SEEDS sets how many seeds each store class runs, SIMULATION_SEED
/// repeats one.
/// </summary>
public sealed class SimulationTests
{
    private const int DefaultSeeds = 250;
    private const int SeedsPerMutant = 100;

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

    public static TheoryData<string> Rules => [.. MutantOf.Keys];

    private static Dictionary<string, Func<int, Run>> MutantOf { get; } = new()
    {
        ["segment before tip"] = seed => new Run(seed, StoreClass.Redis, api => new SegmentAfterTips(api)),
        ["ETag on the tip"] = seed => new Run(seed, StoreClass.Redis, api => new TipsWithoutETag(api)),
        ["commit id decides"] = seed => new Run(seed, StoreClass.Redis, api => new VersionInsteadOfCommitId(api)),
        ["touch before a write is called failed"] = seed => new Run(seed, StoreClass.Redis, api => new NoTouch(api)),
        ["fence on adoption"] = seed => new Run(seed, StoreClass.Sqlite, api => new NoFence(api)),
        ["settled position"] = seed => new Run(seed, StoreClass.Redis, mutateReader: api => new NoSettledPosition(api)),
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Without_this_rule_a_promise_is_broken(string rule)
    {
        for (var seed = 1; seed <= SeedsPerMutant; seed++)
        {
            try
            {
                MutantOf[rule](seed).Execute();
            }
            catch (Exception exception) when (exception is PromiseBrokenException or InvalidOperationException or ArgumentException)
            {
                TestContext.Current.SendDiagnosticMessage($"Without '{rule}', seed {seed}: {exception.Message}");
                return;
            }
        }

        Assert.Fail($"{SeedsPerMutant} seeds did not notice that the rule '{rule}' was gone.");
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
