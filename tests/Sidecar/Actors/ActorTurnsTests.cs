using EmbeddedSidecar.Actors;

namespace DaprOrders.Sidecar.Tests.Actors;

public sealed class ActorTurnsTests
{
    private readonly ActorTurns _turns = new(maxStackDepth: 2);

    [Fact]
    public async Task Turns_are_given_one_at_a_time_in_the_order_of_arrival()
    {
        var first = await Enter();
        var second = Enter();
        var third = Enter();
        Assert.False(second.IsCompleted);

        _turns.Leave(first);
        var running = await second;
        Assert.False(third.IsCompleted);

        _turns.Leave(running);
        _turns.Leave(await third);
        Assert.True(_turns.TryClose());
    }

    [Fact]
    public async Task A_call_with_the_id_of_the_running_turn_passes_and_the_next_waits_for_both()
    {
        var outer = await Enter("r1");
        var other = Enter("r2");
        var inner = await Enter("r1");

        _turns.Leave(outer);
        Assert.False(other.IsCompleted);
        _turns.Leave(inner);
        _turns.Leave(await other);
    }

    [Fact]
    public async Task A_call_with_the_id_of_a_waiting_turn_waits_with_it()
    {
        var running = await Enter("r1");
        var waiting = Enter("r2");
        var joined = Enter("r2");
        Assert.False(joined.IsCompleted);

        _turns.Leave(running);
        _turns.Leave(await waiting);
        _turns.Leave(await joined);
        Assert.True(_turns.TryClose());
    }

    [Fact]
    public async Task Beyond_the_stack_depth_a_call_is_refused_and_the_depth_is_free_again_later()
    {
        var outer = await Enter("r1");
        var inner = await Enter("r1");
        await Assert.ThrowsAsync<ActorStackDepthException>(() => Enter("r1"));

        _turns.Leave(inner);
        _turns.Leave(await Enter("r1"));
        _turns.Leave(outer);
    }

    [Fact]
    public async Task A_waiting_call_that_gives_up_does_not_hold_up_the_next()
    {
        var running = await Enter();
        using var impatient = new CancellationTokenSource();
        var given = EnterUntil(impatient.Token);
        var next = Enter();

        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
        _turns.Leave(running);
        _turns.Leave(await next);
    }

    [Fact]
    public async Task Only_an_idle_actor_can_be_closed_without_waiting()
    {
        var running = await Enter();
        Assert.False(_turns.TryClose());
        _turns.Leave(running);
        Assert.True(_turns.TryClose());
        await Assert.ThrowsAsync<ActorClosedException>(() => Enter());
    }

    [Fact]
    public async Task Closing_turns_away_who_waits_and_waits_for_who_runs()
    {
        var running = await Enter();
        var waiting = Enter();

        var drained = _turns.Close()!;
        await Assert.ThrowsAsync<ActorClosedException>(() => waiting);
        Assert.False(drained.IsCompleted);
        Assert.Null(_turns.Close());

        _turns.Leave(running);
        await drained;
    }

    [Fact]
    public async Task A_closing_actor_still_lets_its_running_turn_call_itself()
    {
        var outer = await Enter("r1");
        var drained = _turns.Close()!;
        _turns.Leave(await Enter("r1"));
        Assert.False(drained.IsCompleted);
        _turns.Leave(outer);
        await drained;
    }

    [Fact]
    public async Task Under_contention_and_cancellation_no_two_turns_overlap_and_none_is_lost()
    {
        var inside = 0;
        var entered = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 2_000), TestContext.Current.CancellationToken, async (n, _) =>
        {
            using var cancel = new CancellationTokenSource();
            var entering = EnterUntil(cancel.Token);
            if (n % 3 == 0)
                await cancel.CancelAsync();
            Turn turn;
            try
            {
                turn = await entering;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            Assert.Equal(1, Interlocked.Increment(ref inside));
            await Task.Yield();
            Interlocked.Decrement(ref inside);
            Interlocked.Increment(ref entered);
            _turns.Leave(turn);
        });
        Assert.InRange(entered, 1_333, 2_000);
        Assert.True(_turns.TryClose());
    }

    private Task<Turn> Enter(string? id = null) => _turns.EnterAsync(id, TestContext.Current.CancellationToken).AsTask();

    private Task<Turn> EnterUntil(CancellationToken givenUp) => _turns.EnterAsync(null, givenUp).AsTask();
}
