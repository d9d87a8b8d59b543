using System.Diagnostics;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EventSourcing.Tests.Conformance;

/// <summary>kill -9 of a process that appends as fast as it can, on every store.</summary>
public sealed class KilledProcessTests(StoreServers servers) : IClassFixture<StoreServers>
{
    private const int AcknowledgedBeforeTheKill = 150;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    public static TheoryData<string> Stores => StoreUnderTest.All;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Stores))]
    public async Task All_that_a_killed_process_has_acknowledged_is_kept_published_and_logged_once(string store)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(Patience);
        await using var under = await StoreUnderTest.OpenAsync(store, servers, Cancel);

        var acknowledged = await KilledAmidAppendsAsync(under, limit.Token);

        var options = new EventStoreOptions { Lease = TimeSpan.FromSeconds(2), CallTimeout = TimeSpan.FromSeconds(1) };
        await using var heir = new Replica(under.Api(1), "heir", options);
        await Task.WhenAll(acknowledged.Select(heir.HasPublishedAsync)).WaitAsync(limit.Token);
        await AssertStreamsAndLogAgreeAsync(heir, acknowledged, limit.Token);
    }

    private static async Task<IReadOnlyCollection<string>> KilledAmidAppendsAsync(StoreUnderTest under, CancellationToken cancel)
    {
        var (http, grpc) = under.Addresses(0);
        string[] arguments =
        [
            Path.Combine(AppContext.BaseDirectory, "DaprOrders.BookingProcess.dll"), http, grpc,
            $"Dapr:StateStore={StoreUnderTest.Component}", "EventStore:Instance=killed", "EventStore:Lease=00:00:02",
        ];
        using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
        var acknowledged = new List<string>();
        while (acknowledged.Count < AcknowledgedBeforeTheKill && await process.StandardOutput.ReadLineAsync(cancel) is { } id)
            acknowledged.Add(id);
        process.Kill();
        // What it still had said before it died counts as well; half a line does not.
        var rest = await process.StandardOutput.ReadToEndAsync(cancel);
        acknowledged.AddRange(rest[..(rest.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries));
        await process.WaitForExitAsync(cancel);
        Assert.True(acknowledged.Count >= AcknowledgedBeforeTheKill, $"it ended by itself, after {acknowledged.Count} events");
        return acknowledged;
    }

    private static async Task AssertStreamsAndLogAgreeAsync(Replica heir, IReadOnlyCollection<string> acknowledged, CancellationToken cancel)
    {
        var stored = new List<string>();
        foreach (var stream in acknowledged.Select(id => id[..id.LastIndexOf(':')]).Distinct())
        {
            var events = await heir.Store.ReadStreamAsync(stream, 0, 10_000, cancel);
            Assert.Equal(Enumerable.Range(1, events.Count).Select(version => (long)version), events.Select(e => e.Version));
            stored.AddRange(events.Select(e => e.Id));
        }

        Assert.Subset(stored.ToHashSet(), acknowledged.ToHashSet());
        var logged = new List<string>();
        foreach (var lane in (await heir.Store.ReadLanesAsync(cancel)).Lanes)
        {
            for (var position = 0L; position < lane.Settled;)
            {
                var page = await heir.Store.ReadLogAsync(lane.Name, position, 100, cancel);
                logged.AddRange(page!.Events.Select(e => e.Id));
                position = page.Next;
            }
        }

        Assert.Equal(logged.Count, logged.Distinct().Count());
        Assert.Subset(logged.ToHashSet(), stored.ToHashSet());
    }
}
