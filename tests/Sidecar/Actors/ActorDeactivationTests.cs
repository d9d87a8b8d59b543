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

    private static async Task CallAsync(ActorHost host)
    {
        using var reply = await host.InvokeAsync(
            new ActorCall { Actor = new("Cart", "1"), Method = "go" }, () => true, TestContext.Current.CancellationToken);
    }
}
