using System.Text;
using EmbeddedSidecar.Actors;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.Actors;

public sealed class ActorPlacementTests : IAsyncDisposable
{
    private readonly SteppedTime _time = new();
    private readonly ActorPlacement _placement;
    private readonly ScriptedActorApp _one;
    private readonly ScriptedActorApp _two;

    public ActorPlacementTests()
    {
        _placement = new(_time, NullLogger.Instance);
        _one = new("one", 1001, _time);
        _two = new("two", 1002, _time);
    }

    public ValueTask DisposeAsync() => _placement.DisposeAsync();

    [Fact]
    public async Task Two_hosts_share_the_actors_and_each_actor_stays_where_it_is()
    {
        _placement.Join(_one.Host);
        _placement.Join(_two.Host);
        var first = await Task.WhenAll(Enumerable.Range(0, 200).Select(n => CallAsync($"{n}")));
        var again = await Task.WhenAll(Enumerable.Range(0, 200).Select(n => CallAsync($"{n}")));
        Assert.Equal(first, again);
        Assert.InRange(first.Count(at => at == "one"), 60, 140);
    }

    [Fact]
    public async Task A_joining_host_takes_its_share_only_after_the_old_host_was_told()
    {
        _placement.Join(_one.Host);
        await Task.WhenAll(Enumerable.Range(0, 50).Select(n => CallAsync($"{n}")));
        await DrainAsync(_one, 50);

        var told = new TaskCompletionSource();
        _one.Gate = told.Task;
        _placement.Join(_two.Host);
        var deletion = await _one.NextCallAsync();
        Assert.StartsWith("DELETE /actors/Cart/", deletion, StringComparison.Ordinal);
        var moved = deletion["DELETE /actors/Cart/".Length..];

        var call = CallAsync(moved);
        Assert.False(call.IsCompleted);
        told.SetResult();
        Assert.Equal("two", await call);
    }

    [Fact]
    public async Task When_a_host_leaves_its_running_call_ends_and_the_next_one_goes_to_the_other()
    {
        _placement.Join(_one.Host);
        _placement.Join(_two.Host);
        var id = await FindActorOfAsync("one");
        var ended = new TaskCompletionSource();
        _one.Gate = ended.Task;
        var running = CallAsync(id);
        var leaving = _placement.LeaveAsync(_one.Host);
        var next = CallAsync(id);

        ended.SetResult();
        Assert.Equal("one", await running);
        await leaving;
        Assert.Equal("two", await next);
    }

    [Fact]
    public async Task While_an_application_is_gone_its_replica_answers_and_it_gets_its_share_back_later()
    {
        _placement.Join(_one.Host);
        _placement.Join(_two.Host);
        var id = await FindActorOfAsync("one");

        _one.IsGone = true;
        Assert.Equal("two", await CallAsync(id));

        _one.IsGone = false;
        while (await CallAsync(id) != "one")
            _time.Advance(TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Without_a_replica_a_gone_application_is_an_error_at_once()
    {
        _placement.Join(_one.Host);
        _one.IsGone = true;
        var error = await Assert.ThrowsAsync<ActorCallException>(() => CallAsync("1", from: _one.Host));
        Assert.Equal(ActorFailure.AppGone, error.Failure);
        Assert.Equal(
            "Put \"http://127.0.0.1:1001/actors/Cart/1/method/go\": dial tcp 127.0.0.1:1001: connect: connection refused", error.Message);
    }

    [Fact]
    public async Task A_call_waits_five_seconds_for_a_host()
    {
        var call = CallAsync("1");
        await _time.StepAsync(TimeSpan.FromSeconds(5));
        var error = await Assert.ThrowsAsync<ActorCallException>(() => call);
        Assert.Equal(
            "failed to lookup actor: api error: code = FailedPrecondition desc = did not find address for actor 'Cart/1'", error.Message);
    }

    [Fact]
    public async Task A_host_that_comes_in_time_answers_the_waiting_call()
    {
        var call = CallAsync("1");
        await _time.StepAsync(TimeSpan.FromSeconds(4));
        _placement.Join(_one.Host);
        Assert.Equal("one", await call);
    }

    [Fact]
    public async Task A_call_that_comes_while_an_idle_actor_is_deactivated_waits_and_activates_it_anew()
    {
        var app = new ScriptedActorApp("idle", 1003, _time, TimeSpan.FromSeconds(10));
        _placement.Join(app.Host);
        await CallAsync("1");
        await app.NextCallAsync();

        var told = new TaskCompletionSource();
        app.Gate = told.Task;
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal("DELETE /actors/Cart/1", await app.NextCallAsync());
        var call = CallAsync("1");
        Assert.False(app.WasCalled);

        told.SetResult();
        await call;
        Assert.Equal("PUT /actors/Cart/1/method/go", await app.NextCallAsync());
        Assert.True(app.Host.IsActive(new("Cart", "1")));
    }

    [Fact]
    public async Task A_running_call_keeps_its_actor_active()
    {
        var app = new ScriptedActorApp("busy", 1003, _time, TimeSpan.FromSeconds(10));
        var ended = new TaskCompletionSource();
        app.Gate = ended.Task;
        _placement.Join(app.Host);
        var call = CallAsync("1");
        await app.NextCallAsync();

        _time.Advance(TimeSpan.FromSeconds(25));
        Assert.False(app.WasCalled);
        ended.SetResult();
        await call;

        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal("DELETE /actors/Cart/1", await app.NextCallAsync());
    }

    private async Task<string> CallAsync(string id, ActorHost? from = null)
    {
        using var reply = await _placement.InvokeAsync(
            new ActorCall { Actor = new("Cart", id), Method = "go", Headers = new HeaderDictionary(), From = from },
            TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(reply.Body);
    }

    private async Task<string> FindActorOfAsync(string host)
    {
        for (var n = 0; ; n++)
        {
            if (await CallAsync($"{n}") == host)
                return $"{n}";
        }
    }

    private static async Task DrainAsync(ScriptedActorApp app, int calls)
    {
        for (var n = 0; n < calls; n++)
            await app.NextCallAsync();
    }
}
