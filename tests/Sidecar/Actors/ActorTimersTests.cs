using EmbeddedSidecar.Actors;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>When the timers of actors fire (dapr pkg/actors/internal/timers/inmemory).</summary>
public sealed class ActorTimersTests
{
    private static readonly ActorKey Cart = new("Cart", "1");

    private readonly SteppedTime _time = new();

    [Theory]
    [InlineData("2s", new[] { 1, 2 })]
    [InlineData("2500ms", new[] { 1, 2, 3 })]
    [InlineData("0s", new int[0])]
    public async Task One_fires_before_its_end_and_no_more_at_it(string ttl, int[] expected)
    {
        var (fired, last) = (new List<int>(), new TaskCompletionSource());
        await using var timers = new ActorTimers(FireAsync, _time, NullLogger.Instance);
        timers.Register(new(Cart, "tick", "1s", "1s", ttl, "", default));
        // A second one that ends later tells when the first one must have fired as often as it does.
        timers.Register(new(Cart, "end", "10s", "", "", "", default));

        while (!last.Task.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        Assert.Equal(expected, fired);

        Task<ActorReply> FireAsync(ActorCall call, CancellationToken cancellationToken)
        {
            if (call.Method == "timer/end")
                last.TrySetResult();
            else
                fired.Add((int)Math.Round((_time.GetUtcNow() - _time.Start).TotalSeconds));
            return Task.FromResult(new ActorReply(new HttpResponseMessage(), []));
        }
    }
}
