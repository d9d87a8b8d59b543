using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>A clock that a test moves, once the code under test waits for it.</summary>
internal sealed class SteppedTime() : FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero))
{
    private readonly SemaphoreSlim _waits = new(0);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _waits.Release();
        return timer;
    }

    /// <summary>Waits until the code waits (once more than before), then moves on.</summary>
    public async Task StepAsync(TimeSpan time)
    {
        Assert.True(await _waits.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken), "nobody waits for the clock");
        Advance(time);
    }
}
