using DaprOrders.EventSourcing.Tests.Store;

namespace DaprOrders.EventSourcing.Tests.Publishing;

/// <summary>What waits in memory is bounded by bytes as well as by its number.</summary>
public sealed class BoundsTests
{
    // Queued before the call returns, since nothing is read.
    private static readonly CommandContext New = new(LikelyNew: true);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_commits_of_too_many_bytes_wait_commands_are_refused_and_taken_again_afterwards()
    {
        await using var calm = new CalmStore(new EventStoreOptions { QueueBytes = 100_000 });
        await calm.Store.Ready;
        var gate = new TaskCompletionSource();
        calm.Gate = gate.Task;
        var waiting = new List<Task> { WriteAsync(calm, "s0", 40_000) };
        await calm.AtGate;
        waiting.Add(WriteAsync(calm, "s1", 40_000));
        waiting.Add(WriteAsync(calm, "s2", 40_000));
        Assert.DoesNotContain(waiting, task => task.IsCompleted);

        var refusal = await Assert.ThrowsAsync<EventStoreUnavailableException>(() => WriteAsync(calm, "s3", 1));
        Assert.Contains("100000 bytes", refusal.Message, StringComparison.Ordinal);
        gate.SetResult();
        await Task.WhenAll(waiting);

        await WriteAsync(calm, "s3", 1);
    }

    [Fact]
    public async Task Events_beyond_the_relays_memory_are_read_back_from_the_log_and_published_in_order()
    {
        await using var calm = new CalmStore(new EventStoreOptions { RelayBufferBytes = 20_000, Chunks = new Chunks { LogBytes = 25_000 } });
        calm.Refusal = _ => "away";
        for (var i = 0; i < 20; i++)
        {
            await WriteAsync(calm, "a", 10_000);
        }

        calm.Refusal = _ => null;
        await calm.DisposeAsync();

        Assert.Equal(Enumerable.Range(1, 20).Select(i => (long)i), calm.Published.Select(e => e.Version).Distinct());
        Assert.True(calm.LargestPublication <= 40_000, $"{calm.LargestPublication} bytes were in memory for one publication");
    }

    [Fact]
    public async Task A_page_of_the_log_ends_when_it_has_enough_bytes()
    {
        await using var calm = new CalmStore(new EventStoreOptions { Chunks = new Chunks { LogBytes = 25_000 } });
        for (var i = 0; i < 10; i++)
        {
            await WriteAsync(calm, $"s{i}", 10_000);
        }

        await calm.DisposeAsync();
        var lane = Assert.Single((await calm.Store.ReadLanesAsync(Cancel)).Lanes);
        var sizes = new List<int>();
        for (var position = 0L; position < lane.Settled;)
        {
            var page = await calm.Store.ReadLogAsync(lane.Name, position, 1_000, Cancel);
            sizes.Add(page!.Events.Count);
            position = page.Next;
        }

        Assert.Equal(10, sizes.Sum());
        Assert.Equal(3, sizes.Max());
    }

    private static Task<Handled<Ledger>> WriteAsync(CalmStore calm, string id, int bytes) =>
        calm.Store.HandleAsync(CalmStore.Category, id, _ => new Booked(1, new string('x', bytes)), New, Cancel);
}
