using System.Text;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.State;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>Reads that come at once share a call, and nothing else: neither failures nor patience.</summary>
public sealed class GatheredTests
{
    private readonly List<string[]> _calls = [];
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_that_comes_alone_goes_at_once_and_those_that_come_meanwhile_go_together()
    {
        var gets = new Gathered<string, StateEntry?>(ReadAsync, callsAtOnce: 1, requestsInCall: 3) { IsOfOneRequest = e => e is StateStoreException };
        List<Task<StateEntry?>> asked = [gets.AskAsync("a", Cancellation)];
        Assert.Equal(["a"], Assert.Single(_calls));
        asked.AddRange("bcade".Select(key => gets.AskAsync($"{key}", Cancellation)));

        _opened.SetResult();
        var entries = await Task.WhenAll(asked);

        Assert.Equal(["a", "b", "c", "a", "d", null], entries.Select(entry => entry is null ? null : Encoding.UTF8.GetString(entry.Value.Span)));
        Assert.Equal(["a", "b c a", "d e"], _calls.Select(keys => string.Join(' ', keys)));
    }

    [Fact]
    public async Task A_key_that_the_store_refuses_is_refused_alone()
    {
        var gets = new Gathered<string, StateEntry?>(ReadAsync, callsAtOnce: 1, requestsInCall: 10) { IsOfOneRequest = e => e is StateStoreException };
        var (first, bad, good) = (gets.AskAsync("a", Cancellation), gets.AskAsync("bad", Cancellation), gets.AskAsync("b", Cancellation));

        _opened.SetResult();

        Assert.NotNull(await first);
        Assert.NotNull(await good);
        Assert.Equal("bad key", (await Assert.ThrowsAsync<StateStoreException>(() => bad)).Message);
    }

    /// <summary>One for whose answer a lock has to go, for instance.</summary>
    [Fact]
    public async Task One_that_is_asked_alone_holds_up_no_other()
    {
        var answer = new TaskCompletionSource<StateEntry?>();
        _opened.SetResult();
        var gets = new Gathered<string, StateEntry?>(ReadAsync, callsAtOnce: 1, requestsInCall: 10)
        {
            IsOfOneRequest = e => e is StateStoreException,
            Alone = (_, _) => answer.Task,
        };
        var slow = gets.AskAsync("bad", Cancellation);

        Assert.NotNull(await gets.AskAsync("a", Cancellation));

        Assert.False(slow.IsCompleted);
        answer.SetResult(null);
        Assert.Null(await slow);
    }

    [Fact]
    public async Task A_store_that_is_away_is_not_asked_again_for_each_key()
    {
        var gets = new Gathered<string, StateEntry?>(ReadAsync, callsAtOnce: 1, requestsInCall: 10) { IsOfOneRequest = e => e is StateStoreException };
        var first = gets.AskAsync("a", Cancellation);
        Task<StateEntry?>[] failing = [gets.AskAsync("away", Cancellation), gets.AskAsync("b", Cancellation)];

        _opened.SetResult();

        Assert.NotNull(await first);
        foreach (var get in failing)
            await Assert.ThrowsAsync<IOException>(() => get);
        Assert.Equal(2, _calls.Count);
    }

    [Fact]
    public async Task Who_does_not_wait_any_more_takes_nobody_along()
    {
        var gets = new Gathered<string, StateEntry?>(ReadAsync, callsAtOnce: 1, requestsInCall: 10) { IsOfOneRequest = e => e is StateStoreException };
        var first = gets.AskAsync("a", Cancellation);
        using var gone = new CancellationTokenSource();
        var (left, stays) = (gets.AskAsync("b", gone.Token), gets.AskAsync("c", Cancellation));

        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        _opened.SetResult();

        Assert.NotNull(await first);
        Assert.NotNull(await stays);
        // What nobody waits for would be done when nobody expects it.
        Assert.Equal(["a", "c"], _calls.Select(keys => string.Join(' ', keys)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gets.AskAsync("d", gone.Token));
    }

    /// <summary>Everything but "e" is there, as its own name.</summary>
    private async Task<IReadOnlyList<StateEntry?>> ReadAsync(IReadOnlyList<string> keys)
    {
        _calls.Add([.. keys]);
        await _opened.Task;
        if (keys.Contains("bad"))
            throw new StateStoreException(StateFailure.Other, "bad key");
        if (keys.Contains("away"))
            throw new IOException("The store is away.");
        return [.. keys.Select(key => key == "e" ? null : new StateEntry(Encoding.UTF8.GetBytes(key), "1", null))];
    }
}
