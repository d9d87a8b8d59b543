namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>A busy machine may have another try; what a broker lost, or gave out too often, has none.</summary>
public sealed class RecordingPlaysTests
{
    private static readonly Difference Lost = new(3, "calls (of 1 recorded, 0 came)", "an event", null);
    private static readonly Difference Late = new(4, "calls (of 0 recorded, 1 came)", null, "an event");

    [Fact]
    public void A_lost_event_is_not_played_again()
    {
        Assert.False(MayBeLate("redis/pubsub-retry", Lost));
        Assert.False(MayBeLate("redis/pubsub-retry", Late, Late, Lost));
        Assert.False(MayBeLate("redis/pubsub-order", new Difference(2, "calls", "[1,2]", "[2]")));
    }

    [Fact]
    public void An_event_that_came_a_step_later_is() => Assert.True(MayBeLate("redis/pubsub-retry", Lost, Late));

    [Fact]
    public void A_timer_fires_as_often_as_the_clock_says() => Assert.True(MayBeLate("any/actors-timers", Lost));

    [Fact]
    public void A_recording_that_is_met_is_played_once() => Assert.False(MayBeLate("any/actors-timers"));

    private static bool MayBeLate(string recording, params Difference[] differences) =>
        RecordingPlays.MayBeLate(Recording.Load(recording), new Outcome(differences, null));
}
