namespace EmbeddedSidecar.Components;

/// <summary>What is asked of a server while calls of it are under way goes out together, in the next call. What comes alone goes at once.</summary>
/// <param name="call">Gives the answers at the positions of their requests.</param>
/// <param name="callsAtOnce">So many calls are under way at most, beside those of single requests.</param>
/// <param name="requestsInCall">So many requests share a call at most.</param>
internal sealed class Gathered<TRequest, TAnswer>(
    Func<IReadOnlyList<TRequest>, Task<IReadOnlyList<TAnswer>>> call, int callsAtOnce, int requestsInCall)
{
    private readonly Lock _lock = new();
    private readonly Queue<Asked> _waiting = new();
    private int _calls;

    /// <summary>Whether a call's failure may be that of one of its requests: then each is asked alone. What fails for all is not asked again for each.</summary>
    public Func<Exception, bool> IsOfOneRequest { get; init; } = _ => false;

    /// <summary>Asks for one. It may take as long as it likes: it holds up no other.</summary>
    public Func<TRequest, CancellationToken, Task<TAnswer>> Alone { get; init; } = async (request, _) => (await call([request]))[0];

    public Task<TAnswer> AskAsync(TRequest request, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return Task.FromCanceled<TAnswer>(cancellationToken);
        var asked = new Asked(request, cancellationToken);
        bool calls;
        lock (_lock)
        {
            _waiting.Enqueue(asked);
            calls = _calls < callsAtOnce;
            _calls += calls ? 1 : 0;
        }

        if (calls)
        {
            // A call serves others too: it carries the trace of none.
            using (ExecutionContext.SuppressFlow())
                _ = CallAsync();
        }

        return asked.Answer.Task.WaitAsync(cancellationToken);
    }

    private async Task CallAsync()
    {
        while (Take() is { Count: > 0 } asked)
            await AnswerAsync(asked);
    }

    private async Task AnswerAsync(List<Asked> asked)
    {
        try
        {
            var answers = await call([.. asked.Select(one => one.Request)]);
            for (var i = 0; i < asked.Count; i++)
                asked[i].Answer.SetResult(answers[i]);
        }
        catch (Exception e) when (IsOfOneRequest(e))
        {
            foreach (var one in asked)
                _ = AnswerAloneAsync(one);
        }
        catch (Exception e)
        {
            foreach (var one in asked)
                one.Answer.SetException(e);
        }
    }

    private async Task AnswerAloneAsync(Asked asked)
    {
        try
        {
            asked.GivenUp.ThrowIfCancellationRequested();
            asked.Answer.SetResult(await Alone(asked.Request, asked.GivenUp));
        }
        catch (Exception e)
        {
            asked.Answer.SetException(e);
        }
    }

    private List<Asked> Take()
    {
        lock (_lock)
        {
            var taken = new List<Asked>(Math.Min(_waiting.Count, requestsInCall));
            while (taken.Count < requestsInCall && _waiting.TryDequeue(out var one))
            {
                if (!one.GivenUp.IsCancellationRequested)
                    taken.Add(one);
            }

            _calls -= taken.Count == 0 ? 1 : 0;
            return taken;
        }
    }

    /// <param name="GivenUp">By its caller: what has not gone out does not any more, for it would take effect when nobody expects it.</param>
    private sealed record Asked(TRequest Request, CancellationToken GivenUp)
    {
        public TaskCompletionSource<TAnswer> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
