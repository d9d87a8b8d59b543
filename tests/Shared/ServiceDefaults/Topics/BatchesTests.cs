using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Topics;

public sealed class BatchesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_arrives_while_a_batch_is_at_work_becomes_the_next_one()
    {
        var (started, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        var batches = new List<string>();
        var handling = new Batches(
            async (events, _) =>
            {
                batches.Add(string.Join(" ", events.Select(incoming => incoming.Recorded.Id)));
                started.TrySetResult();
                await release.Task;
            },
            Cancellation);

        var first = handling.HandleAsync([Event("a", 1)], Cancellation);
        await started.Task;
        var later = new[] { Event("b", 2), Event("b", 1), Event("b", 2), Event("c", 1) }.Select(incoming => handling.HandleAsync([incoming], Cancellation)).ToList();
        release.SetResult();
        await Task.WhenAll([first, .. later]);

        Assert.Equal(["a:1", "b:1 c:1 b:2"], batches);
    }

    [Fact]
    public async Task A_bad_stream_fails_alone()
    {
        var handling = new Batches(
            (events, _) => events.Any(incoming => incoming.Recorded.Stream == "bad") ? throw new InvalidOperationException("bad") : Task.CompletedTask,
            Cancellation);

        var outcomes = new[] { "a", "bad", "b" }.Select(stream => handling.HandleAsync([Event(stream, 1)], Cancellation)).ToList();

        await outcomes[0];
        await Assert.ThrowsAsync<InvalidOperationException>(() => outcomes[1]);
        await outcomes[2];
    }

    [Fact]
    public async Task After_a_failure_the_next_events_are_handled_again()
    {
        var fails = true;
        var handling = new Batches((_, _) => fails ? throw new InvalidOperationException("down") : Task.CompletedTask, Cancellation);

        await Assert.ThrowsAsync<InvalidOperationException>(() => handling.HandleAsync([Event("a", 1)], Cancellation));
        fails = false;
        await handling.HandleAsync([Event("a", 1)], Cancellation);
    }

    [Fact]
    public async Task Several_topics_share_their_batches()
    {
        var handled = new List<string>();
        await using var host = await StartAsync(app => app.MapTopicsInBatches([("letters", "post"), ("parcels", "post")], (events, _) =>
        {
            handled.AddRange(events.Select(incoming => incoming.Recorded.Id));
            return Task.CompletedTask;
        }));

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("a", 1)));
        Assert.Equal("SUCCESS", await host.DeliverAsync("parcels", CloudEvent("b", 1)));

        Assert.Equal(["a:1", "b:1"], handled);
    }

    private static IncomingEvent Event(string stream, long version) => new(
        "post",
        new RecordedEvent(stream, version, nameof(LetterSent), 1, DateTimeOffset.UnixEpoch, null, null, default),
        new LetterSent(stream, "Ann"));
}
