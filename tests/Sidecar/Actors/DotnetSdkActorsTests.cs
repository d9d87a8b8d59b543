using Dapr.Actors;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>Dapr.Actors 1.19 as it comes from the package, host and client, against the embedded sidecar.</summary>
public sealed class DotnetSdkActorsTests
{
    [Fact]
    public async Task Remoting_calls_return_their_values_and_keep_state()
    {
        await using var app = await SdkActorApp.StartAsync();
        var counter = app.Counter("a");
        Assert.Equal(2, await counter.Add(2));
        Assert.Equal(5, await counter.Add(3));
        Assert.Equal(new Reading(5, null), await counter.Read());
    }

    [Fact]
    public async Task Weakly_typed_calls_go_as_json()
    {
        await using var app = await SdkActorApp.StartAsync();
        Assert.Equal(7, await app.Weak("a").InvokeMethodAsync<int, int>("Add", 7, TestContext.Current.CancellationToken));
        Assert.Equal(7, (await app.Weak("a").InvokeMethodAsync<Reading>("Read", TestContext.Current.CancellationToken)).Total);
    }

    [Fact]
    public async Task Remoting_with_json_serialization_works_when_both_sides_want_it()
    {
        await using var app = await SdkActorApp.StartAsync(options => options.UseJsonSerialization = true);
        Assert.Equal(3, await app.Counter("a", json: true).Add(3));
        Assert.Equal(new Reading(3, null), await app.Counter("a", json: true).Read());
    }

    [Fact]
    public async Task An_exception_in_the_actor_reaches_the_caller()
    {
        await using var app = await SdkActorApp.StartAsync();
        var error = await Assert.ThrowsAsync<ActorMethodInvocationException>(() => app.Counter("a").Fail("out of tea"));
        Assert.Equal("out of tea", error.InnerException?.Message);
    }

    [Fact]
    public async Task Calls_of_one_actor_never_overlap()
    {
        await using var app = await SdkActorApp.StartAsync();
        await Task.WhenAll(Enumerable.Range(0, 100).Select(n => app.Counter(n % 2 == 0 ? "even" : "odd").Add(1)));
        Assert.Equal(50, (await app.Counter("even").Read()).Total);
        Assert.Equal(50, (await app.Counter("odd").Read()).Total);
    }

    [Fact]
    public async Task With_reentrancy_an_actor_may_call_itself()
    {
        await using var app = await SdkActorApp.StartAsync(options => options.ReentrancyConfig = new() { Enabled = true, MaxStackDepth = 4 });
        Assert.Equal(4, await app.Counter("a").AddThroughProxy(4));
    }

    [Fact]
    public async Task An_idle_actor_is_deactivated_and_finds_its_state_again()
    {
        await using var app = await SdkActorApp.StartAsync(options => options.ActorIdleTimeout = TimeSpan.FromMilliseconds(200));
        await app.Counter("a").Add(9);
        await app.Journal.Seen("a deactivated");
        Assert.Equal(9, (await app.Counter("a").Read()).Total);
        Assert.Equal(2, app.Journal.Count("a activated"));
    }

    [Fact]
    public async Task A_timer_ticks_until_it_is_stopped()
    {
        await using var app = await SdkActorApp.StartAsync();
        await app.Counter("a").StartTimer(50);
        await app.Journal.Seen("a tick hello", times: 3);

        await app.Counter("a").StopTimer();
        var ticks = app.Journal.Count("a tick hello");
        await app.Counter("b").StartTimer(50);
        await app.Journal.Seen("b tick hello", times: 6);
        // One may have been on its way when they were stopped.
        Assert.InRange(app.Journal.Count("a tick hello"), ticks, ticks + 1);
    }

    [Fact]
    public async Task A_reminder_is_told_as_it_was_registered_fires_and_can_be_forgotten()
    {
        await using var app = await SdkActorApp.StartAsync();
        await app.Counter("a").Remind(dueMs: 200, periodMs: 1000);
        Assert.Equal("wake up 00:00:00.2000000 00:00:01", await app.Counter("a").FindReminder());
        await app.Journal.Seen("a wake up");
        await app.Counter("a").Forget();
        Assert.Equal("reminded", (await app.Counter("a").Read()).Note);
        await Assert.ThrowsAnyAsync<Exception>(() => app.Counter("a").FindReminder());
    }

    [Fact]
    public async Task Reminders_and_state_outlive_the_sidecar_and_the_actor_is_deactivated_before_it_ends()
    {
        await using var app = await SdkActorApp.StartAsync();
        await app.Counter("a").Add(1);
        await app.Counter("a").Remind(dueMs: 2_000, periodMs: 0);
        await app.RestartSidecarAsync();
        Assert.Equal(1, app.Journal.Count("a deactivated"));
        await app.Journal.Seen("a wake up");
        Assert.Equal(new Reading(1, "reminded"), await app.Counter("a").Read());
    }
}
