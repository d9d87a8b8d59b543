namespace EmbeddedSidecar.Components.State;

/// <summary>
/// Reads of single keys that come while others are under way go out together, in one statement of the server. One that comes alone goes at once.
/// </summary>
/// <param name="isOfOneKey">Whether a failure may be that of one key: then each is asked for alone. What fails for all is not asked again for each.</param>
internal sealed class GatheredGets(Func<IReadOnlyList<string>, Task<IReadOnlyList<StateEntry?>>> read, Func<Exception, bool> isOfOneKey, int callsAtOnce, int keysInCall)
{
    private readonly Lock _lock = new();
    private readonly Queue<Get> _waiting = new();
    private int _calls;

    public Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var get = new Get(key);
        bool calls;
        lock (_lock)
        {
            _waiting.Enqueue(get);
            calls = _calls < callsAtOnce;
            _calls += calls ? 1 : 0;
        }

        if (calls)
        {
            // A call serves others too: it carries the trace of none.
            using (ExecutionContext.SuppressFlow())
                _ = CallAsync();
        }

        return get.Answer.Task.WaitAsync(cancellationToken);
    }

    private async Task CallAsync()
    {
        while (Take() is { Count: > 0 } gets)
            await AnswerAsync(gets);
    }

    private async Task AnswerAsync(List<Get> gets)
    {
        try
        {
            var entries = await read([.. gets.Select(get => get.Key)]);
            for (var i = 0; i < gets.Count; i++)
                gets[i].Answer.SetResult(entries[i]);
        }
        catch (Exception e) when (gets.Count > 1 && isOfOneKey(e))
        {
            foreach (var get in gets)
                await AnswerAsync([get]);
        }
        catch (Exception e)
        {
            foreach (var get in gets)
                get.Answer.SetException(e);
        }
    }

    private List<Get> Take()
    {
        lock (_lock)
        {
            var gets = new List<Get>(Math.Min(_waiting.Count, keysInCall));
            while (gets.Count < keysInCall && _waiting.TryDequeue(out var get))
                gets.Add(get);
            _calls -= gets.Count == 0 ? 1 : 0;
            return gets;
        }
    }

    private sealed record Get(string Key)
    {
        public TaskCompletionSource<StateEntry?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
