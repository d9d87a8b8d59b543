using EmbeddedSidecar.Actors;

namespace DaprOrders.Sidecar.Tests.Actors;

public sealed class ActorDeactivationTests
{
    private readonly SteppedTime _time = new();

    [Fact]
    public async Task An_application_that_never_answers_a_deactivation_holds_its_actor_up_for_a_limited_time()
    {
        var app = new ScriptedActorApp("one", 5000, _time, idleTimeout: TimeSpan.FromSeconds(10));
        await CallAsync(app.Host);
        await app.NextCallAsync();

        app.Gate = new TaskCompletionSource().Task;
        await _time.StepAsync(TimeSpan.FromSeconds(10));
        Assert.Equal("DELETE /actors/Cart/1", await app.NextCallAsync());
        var next = CallAsync(app.Host);
        app.Gate = Task.CompletedTask;
        Assert.False(next.IsCompleted);

        await _time.StepAsync(TimeSpan.FromSeconds(30));

        await Assert.ThrowsAsync<ActorClosedException>(() => next);
        await CallAsync(app.Host);
        Assert.Equal("PUT /actors/Cart/1/method/go", await app.NextCallAsync());
    }

    [Fact]
    public async Task The_time_to_be_idle_counts_from_the_start_of_the_last_call()
    {
        var app = new ScriptedActorApp("one", 5000, _time, idleTimeout: TimeSpan.FromSeconds(10));
        var gate = new TaskCompletionSource();
        app.Gate = gate.Task;
        var call = CallAsync(app.Host);
        await app.NextCallAsync();
        _time.Advance(TimeSpan.FromSeconds(6));
        gate.SetResult();
        await call;

        _time.Advance(TimeSpan.FromSeconds(4));

        Assert.Equal("DELETE /actors/Cart/1", await app.NextCallAsync());
    }

    [Fact]
    public async Task A_call_that_takes_longer_than_that_time_is_not_broken_off_and_the_time_counts_anew()
    {
        var app = new ScriptedActorApp("one", 5000, _time, idleTimeout: TimeSpan.FromSeconds(10));
        var gate = new TaskCompletionSource();
        app.Gate = gate.Task;
        var call = CallAsync(app.Host);
        await app.NextCallAsync();
        _time.Advance(TimeSpan.FromSeconds(10));
        gate.SetResult();
        await call;
        Assert.True(app.Host.IsActive(new("Cart", "1")));

        _time.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal("DELETE /actors/Cart/1", await app.NextCallAsync());
    }

    private static async Task CallAsync(ActorHost host)
    {
        using var reply = await host.InvokeAsync(
            new ActorCall { Actor = new("Cart", "1"), Method = "go" }, () => true, TestContext.Current.CancellationToken);
    }
}
