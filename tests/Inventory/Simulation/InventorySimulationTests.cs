using System.Collections.Concurrent;
using System.Globalization;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Simulation;
using DaprOrders.Inventory.ReservingStock;

namespace DaprOrders.Inventory.Tests.Simulation;

/// <summary>
/// Reservations under every interleaving and crash that the seed can think of. SIMULATION_SEEDS says which seeds each store class runs: 5000 the first
/// 5,000, 17-17 only that one.
/// </summary>
public sealed class InventorySimulationTests
{
    private const int DefaultSeeds = 150;
    private const int SeedsWithoutNames = 500;

    [Theory]
    [InlineData(StoreClass.Sqlite)]
    [InlineData(StoreClass.Redis)]
    public void At_the_end_what_is_reserved_is_what_live_reservations_grant_and_nothing_was_ever_oversold(StoreClass kind)
    {
        var crashes = 0;
        var outcomes = new ConcurrentDictionary<Type, int>();
        Parallel.ForEach(Seeds(), new ParallelOptions { CancellationToken = TestContext.Current.CancellationToken }, seed =>
        {
            try
            {
                var run = new InventoryRun(seed, kind);
                run.Execute();
                Interlocked.Add(ref crashes, run.Crashes);
                foreach (var (outcome, count) in run.Outcomes)
                {
                    outcomes.AddOrUpdate(outcome, count, (_, before) => before + count);
                }
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                throw new InvalidOperationException($"Seed {seed} on {kind}: {exception.Message} Repeat it with SIMULATION_SEEDS={seed}-{seed}.", exception);
            }
        });

        TestContext.Current.TestOutputHelper?.WriteLine($"{crashes} crashes; {string.Join(", ", outcomes.Select(outcome => $"{outcome.Value} {outcome.Key.Name}"))}");
        if (Environment.GetEnvironmentVariable("SIMULATION_SEEDS") is null)
        {
            Assert.True(crashes > DefaultSeeds / 4, $"Only {crashes} crashes.");
            Assert.All(
                [typeof(Reservation.Reserved), typeof(Reservation.Rejected), typeof(Reservation.Released), typeof(Reservation.Fulfilled)],
                outcome => Assert.True(outcomes.GetValueOrDefault(outcome) > DefaultSeeds / 10, $"{outcome.Name} too seldom."));
        }
    }

    [Fact]
    public void Without_the_names_of_events_that_left_the_tip_the_stock_is_wrong_in_the_end() => Assert.Contains(Enumerable.Range(1, SeedsWithoutNames), seed =>
    {
        try
        {
            new InventoryRun(seed, StoreClass.Sqlite, api => new NamesForgotten(api)).Execute();
            return false;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    });

    private static IEnumerable<int> Seeds()
    {
        var wanted = (Environment.GetEnvironmentVariable("SIMULATION_SEEDS") ?? $"{DefaultSeeds}").Split('-');
        var (first, last) = wanted.Length == 1 ? ("1", wanted[0]) : (wanted[0], wanted[1]);
        return Enumerable.Range(
            int.Parse(first, CultureInfo.InvariantCulture),
            int.Parse(last, CultureInfo.InvariantCulture) - int.Parse(first, CultureInfo.InvariantCulture) + 1);
    }

    private sealed class NamesForgotten(IStateApi api) : IStateApi
    {
        public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => api.DescribeAsync(cancellationToken);

        public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => api.GetAsync(key, cancellationToken);

        public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) => api.GetManyAsync(keys, cancellationToken);

        public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) => api.TrySaveAsync(write, cancellationToken);

        public Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
            api.SaveManyAsync([.. writes.Where(write => !write.Key.Contains("|name|", StringComparison.Ordinal))], cancellationToken);
    }
}
