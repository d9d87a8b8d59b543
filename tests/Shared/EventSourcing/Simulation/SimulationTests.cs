using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.ExceptionServices;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// The event store under every fault that the seed can think of. SIMULATION_SEEDS says which seeds each store class runs: 5000 the first 5,000,
/// 17-17 only that one.
/// </summary>
public sealed class SimulationTests
{
    private const int DefaultSeeds = 2_000;
    private const int SeedsPerMutant = 300;
    private const int SeedsRunTwice = 20;

    [Theory]
    [InlineData(StoreClass.Sqlite)]
    [InlineData(StoreClass.Postgres)]
    [InlineData(StoreClass.Redis)]
    [InlineData(StoreClass.Separate)]
    public void Whatever_fails_acknowledged_events_are_there_once_in_order_published_and_logged(StoreClass kind)
    {
        var (committed, found) = (0, 0);
        InParallel(Seeds(), seed =>
        {
            try
            {
                var run = new Run(seed, kind);
                run.Execute();
                Interlocked.Add(ref committed, run.Committed);
                Interlocked.Add(ref found, run.Found);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed} on {kind}: {exception.Message} Repeat it with SIMULATION_SEEDS={seed}-{seed}.", exception);
            }
        });

        Assert.NotEqual(0, committed);
        Assert.NotEqual(0, found);
    }

    [Theory]
    [InlineData(StoreClass.Sqlite)]
    [InlineData(StoreClass.Separate)]
    public void The_same_seed_is_the_same_run(StoreClass kind)
    {
        for (var seed = 1; seed <= SeedsRunTwice; seed++)
        {
            var (first, second) = (new Run(seed, kind), new Run(seed, kind));
            first.Execute();
            second.Execute();

            Assert.Equal(first.Course, second.Course);
        }
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
        ["position in the same write"] = seed => new Run(seed, StoreClass.Sqlite, api => new NoPositions(api)),
        ["an empty segment where a transaction failed"] = seed =>
        {
            var pretended = new Dictionary<string, StateValue>();
            return new Run(seed, StoreClass.Sqlite, api => new NoEmptySegment(api, pretended), api => new NoEmptySegment(api, pretended));
        },
        ["page before the tip that drops its events"] = seed => new Run(seed, StoreClass.Redis, api => new PageAfterTip(api)),
        ["published position after the publication"] = seed => new Run(seed, StoreClass.Redis, api => new HeadPublishedAhead(api)),
        ["no belief in the answer to several single writes"] = seed => new Run(seed, StoreClass.Separate, api => new BulkAnswersBelieved(api)),
        ["what no delivery brought is fetched"] = seed => new Run(seed, StoreClass.Sqlite, catchUp: new NothingFetched()),
        ["the cursor before what is missing"] = seed => new Run(seed, StoreClass.Sqlite, catchUp: new CursorAhead()),
        ["handled when its handler has ended"] = seed => new Run(seed, StoreClass.Sqlite, catchUp: new HandledOnArrival()),
        ["transactions only where they roll back and remember first-write"] = seed => new Run(seed, StoreClass.Redis, batches: BatchWrites.Atomic),
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Without_this_rule_a_promise_is_broken(string rule)
    {
        // Broken is also a store in which something cannot be read any more, or is tried for ever.
        for (var seed = 1; seed <= SeedsPerMutant; seed++)
        {
            try
            {
                MutantOf[rule](seed).Execute();
            }
            catch (Exception exception) when (exception is PromiseBrokenException or InvalidOperationException or ArgumentException or StoreWentBackException or SimulationException)
            {
                TestContext.Current.SendDiagnosticMessage($"Without '{rule}', seed {seed}: {exception.Message}");
                return;
            }
        }

        Assert.Fail($"{SeedsPerMutant} seeds did not notice that the rule '{rule}' was gone.");
    }

    // Threads of its own: the pool's are for the tests that wait for servers meanwhile.
    internal static void InParallel(IEnumerable<int> seeds, Action<int> run)
    {
        var left = new ConcurrentQueue<int>(seeds);
        var failures = new ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, Environment.ProcessorCount).Select(_ => new Thread(() =>
        {
            while (failures.IsEmpty && left.TryDequeue(out var seed))
            {
                try
                {
                    run(seed);
                }
                catch (Exception exception)
                {
                    failures.Enqueue(exception);
                }
            }
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        if (failures.TryDequeue(out var failure))
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    internal static IEnumerable<int> Seeds(int unlessWanted = DefaultSeeds)
    {
        if (Environment.GetEnvironmentVariable("SIMULATION_SEEDS") is not { Length: > 0 } wanted)
        {
            return Enumerable.Range(1, unlessWanted);
        }

        int[] bounds = [.. wanted.Split('-').Select(bound => int.Parse(bound, CultureInfo.InvariantCulture))];
        return bounds is [var first, var last] ? Enumerable.Range(first, last - first + 1) : Enumerable.Range(1, bounds[0]);
    }
}
