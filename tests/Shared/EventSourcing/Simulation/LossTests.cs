using System.Text.RegularExpressions;
using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>Stores that go back in time, in simulation; SIMULATION_SEEDS as for <see cref="SimulationTests"/>.</summary>
public sealed partial class LossTests
{
    private const int DefaultSeeds = 60;
    private const int SeedsPerMutant = 100;

    [Theory]
    [InlineData(StoreClass.Sqlite)]
    [InlineData(StoreClass.Postgres)]
    [InlineData(StoreClass.Redis)]
    [InlineData(StoreClass.Separate)]
    public void A_store_that_goes_back_in_time_is_noticed_and_after_a_declared_recovery_everybody_works_and_reads_on(StoreClass kind)
    {
        var noticed = 0;
        SimulationTests.InParallel(SimulationTests.Seeds(DefaultSeeds), seed =>
        {
            try
            {
                var run = new LossRun(seed, kind);
                run.Execute();
                Interlocked.Add(ref noticed, run.WasNoticed ? 1 : 0);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed} on {kind}: {exception.Message} Repeat it with SIMULATION_SEEDS={seed}-{seed}.", exception);
            }
        });

        TestContext.Current.SendDiagnosticMessage($"{kind}: noticed in {noticed} runs");
    }

    [Fact]
    public void Without_looking_again_at_what_was_written_a_loss_goes_unnoticed() =>
        Breaks(seed => new LossRun(seed, StoreClass.Redis, api => new OwnLanesBelieved(api)));

    [Fact]
    public void Without_names_that_are_never_used_again_a_reader_misses_what_comes_after_a_loss() =>
        Breaks(seed => new LossRun(seed, StoreClass.Sqlite, api => new NumberedLanes(api), LossRun.Fate.LosesEverythingAndItsInstances));

    private static void Breaks(Func<int, LossRun> run)
    {
        for (var seed = 1; seed <= SeedsPerMutant; seed++)
        {
            try
            {
                run(seed).Execute();
            }
            catch (Exception exception) when (exception is PromiseBrokenException or EventStoreUnavailableException)
            {
                // Broken is also a log that cannot be read to its end.
                TestContext.Current.SendDiagnosticMessage($"Seed {seed}: {exception.Message}");
                return;
            }
        }

        Assert.Fail($"{SeedsPerMutant} seeds did not notice it.");
    }

    /// <summary>Rule: what was settled is looked at again. Here: lanes are remembered as they were last written or read.</summary>
    private sealed class OwnLanesBelieved(IStateApi inner) : Mutant(inner)
    {
        private readonly Dictionary<string, StateValue> _known = [];

        public override async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) =>
            Believed(key, await base.GetAsync(key, cancellationToken));

        public override async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
            [.. keys.Zip(await base.GetManyAsync(keys, cancellationToken), Believed)];

        public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
        {
            var isWritten = await base.TrySaveAsync(write, cancellationToken);
            if (isWritten && IsSegment(write.Key))
            {
                _known[write.Key] = new StateValue(write.Value, "none");
            }

            return isWritten;
        }

        // The newest that was ever seen.
        private StateValue? Believed(string key, StateValue? present)
        {
            if (!key.StartsWith("lane", StringComparison.Ordinal))
            {
                return present;
            }

            if (_known.TryGetValue(key, out var known) && (present is null || (!IsSegment(key) && key != LaneList.Key && IsOlder(present, known))))
            {
                return known with { ETag = present?.ETag ?? known.ETag };
            }

            return present is null ? null : _known[key] = present;
        }

        private static bool IsOlder(StateValue present, StateValue known) => Head.Read(present.Value).Settled < Head.Read(known.Value).Settled;
    }

    /// <summary>Rule: the name of a lane is never used again. Here: lanes are numbered.</summary>
    private sealed partial class NumberedLanes(IStateApi inner) : Mutant(inner)
    {
        private readonly Dictionary<string, string> _numbers = [];

        public override async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => await base.GetAsync(Numbered(key), cancellationToken);

        public override Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
            base.GetManyAsync([.. keys.Select(Numbered)], cancellationToken);

        public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
        {
            if (Name().Match(write.Key) is { Success: true } named && !_numbers.ContainsKey(named.Value))
            {
                var list = await base.GetAsync(LaneList.Key, cancellationToken);
                _numbers[named.Value] = $"{(list is null ? 0 : LaneList.Read(list.Value).Names.Count)}";
            }

            var value = write.Key == LaneList.Key && LaneList.Read(write.Value) is var written
                ? (written with { Names = [.. written.Names.Select(Numbered)] }).ToBytes()
                : write.Value;
            return await base.TrySaveAsync(write with { Key = Numbered(write.Key), Value = value }, cancellationToken);
        }

        public override Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
            base.SaveManyAsync([.. writes.Select(write => write with { Key = Numbered(write.Key) })], cancellationToken);

        private string Numbered(string text) => Name().Replace(text, name => _numbers.GetValueOrDefault(name.Value, name.Value));

        [GeneratedRegex("[0-9a-f]{32}")]
        private static partial Regex Name();
    }
}
