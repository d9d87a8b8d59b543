using System.Text;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Simulation;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EventSourcing.Tests.Conformance;

/// <summary>
/// The simulation is worth what its stores are: each class must answer as the real stores of that class do through a sidecar, whose own
/// behaviour is checked against recordings of a daprd.
/// </summary>
public sealed class SimulatedStoreTests(StoreServers servers) : IClassFixture<StoreServers>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("in-memory", StoreClass.Sqlite)]
    [InlineData("sqlite", StoreClass.Sqlite)]
    [InlineData("redis", StoreClass.Redis)]
    [InlineData("postgresql", StoreClass.Postgres)]
    public async Task Each_class_answers_as_its_real_stores_do(string store, StoreClass kind)
    {
        await using var under = await StoreUnderTest.OpenAsync(store, servers, Cancel);
        var api = under.Api(0);
        await api.DescribeAsync(Cancel);
        var real = await PlayAsync(api.GetAsync, api.TrySaveAsync, api.SaveManyAsync);

        // A simulated service whose calls do not fail.
        var world = new World(1);
        var simulated = new SimulatedInstance(world, new SimulatedStore(kind), new Faults(), [], "calm", TimeSpan.Zero, calls => calls);
        IReadOnlyList<string> played = [];
        world.Run(
            async () => played = await PlayAsync(simulated.GetAsync, simulated.TrySaveAsync, simulated.SaveManyAsync),
            maxSteps: 100_000);

        Assert.Equal(real, played);
    }

    /// <summary>The steps in which the classes differ, each with how it ended; and what is there at the end.</summary>
    private static async Task<IReadOnlyList<string>> PlayAsync(
        Func<string, CancellationToken, Task<StateValue?>> get,
        Func<StateWrite, CancellationToken, Task<bool>> save,
        Func<IReadOnlyList<StateWrite>, CancellationToken, Task> transact)
    {
        var log = new List<string>();
        await SaveAsync("create", "a", "1", null);
        var first = await TagAsync("a");
        await SaveAsync("create what exists", "a", "2", null);
        await SaveAsync("update", "a", "3", first);
        var second = await TagAsync("a");
        await SaveAsync("update with a stale tag", "a", "4", first);
        await SaveAsync("create what was updated", "a", "5", null);
        await SaveAsync("update what is missing", "b", "6", second);
        await SaveAsync("create what an update with a tag may have made", "b", "7", null);
        await TransactAsync("several", Write("c", "8", null), Write("a", "9", second));
        var third = await TagAsync("a");
        await TransactAsync("a stale tag in the middle", Write("d", "10", null), Write("a", "11", second), Write("e", "12", null));
        await TransactAsync("an existing key in the middle", Write("f", "13", null), Write("c", "14", null), Write("g", "15", null));
        await TransactAsync("a missing key with a tag in the middle", Write("h", "16", null), Write("i", "17", third), Write("j", "18", null));
        await TransactAsync("nothing wrong after all this", Write("k", "19", null), Write("a", "20", third));
        foreach (var key in "abcdefghijk".Select(key => $"{key}"))
            log.Add($"{key}: {(await get(key, Cancel) is { } value ? Encoding.UTF8.GetString(value.Value.Span) : "missing")}");
        return log;

        async Task<string> TagAsync(string key) => (await get(key, Cancel))!.ETag;

        static StateWrite Write(string key, string value, string? tag) => new(key, Encoding.UTF8.GetBytes(value), tag);

        async Task SaveAsync(string step, string key, string value, string? tag)
        {
            try
            {
                log.Add($"{step}: {(await save(Write(key, value, tag), Cancel) ? "written" : "refused")}");
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                log.Add($"{step}: failed");
            }
        }

        async Task TransactAsync(string step, params StateWrite[] writes)
        {
            try
            {
                await transact(writes, Cancel);
                log.Add($"{step}: written");
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                log.Add($"{step}: failed");
            }
        }
    }
}
