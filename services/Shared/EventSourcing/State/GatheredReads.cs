using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.State;

/// <summary>
/// Reads that come at the same time go out together: whatever is asked for while the calls under way are not answered is in the next one. While
/// other commands are at work, a call waits a moment for their reads; a read by itself is a call by itself, at once.
/// </summary>
internal sealed class GatheredReads(IStateApi state, CommandsAtWork atWork, int keysPerCall, TimeSpan timeout, TimeProvider time)
{
    private const int CallsAtOnce = 2;

    private readonly Lock _lock = new();
    private readonly Queue<Read> _waiting = new();
    private int _calls;

    /// <exception cref="EventStoreUnavailableException">The store did not answer in time.</exception>
    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var read = new Read(key);
        Ask(read);
        return AnswerAsync(read, cancellationToken);
    }

    /// <summary>In one call, or in several with others.</summary>
    /// <exception cref="EventStoreUnavailableException">The store did not answer in time.</exception>
    public Task<StateValue?[]> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        Read[] reads = [.. keys.Select(key => new Read(key))];
        Ask(reads);
        return Task.WhenAll(reads.Select(read => AnswerAsync(read, cancellationToken)));
    }

    private void Ask(params ReadOnlySpan<Read> reads)
    {
        bool isCaller;
        lock (_lock)
        {
            foreach (var read in reads)
            {
                _waiting.Enqueue(read);
            }

            isCaller = _calls < CallsAtOnce;
            _calls += isCaller ? 1 : 0;
        }

        if (isCaller)
        {
            // The calls serve others too: none of them carries the trace of the command that happened to be first.
            using (ExecutionContext.SuppressFlow())
            {
                _ = CallAsync();
            }
        }
    }

    private Task<StateValue?> AnswerAsync(Read read, CancellationToken cancellationToken) => read.Answer.WithinAsync(
        timeout, time, () => $"The state store did not answer within {timeout.TotalSeconds} s when it was to read {read.Key}. Try again later.", cancellationToken);

    // None of those who wait can cancel a call; each ends within the timeout of a call.
    private async Task CallAsync()
    {
        while (await TakeAsync() is { Count: > 0 } reads)
        {
            try
            {
                var keys = reads.Select(read => read.Key).Distinct().ToArray();
                var values = await state.GetManyAsync(keys, CancellationToken.None);
                var byKey = keys.Zip(values).ToDictionary(pair => pair.First, pair => pair.Second);
                reads.ForEach(read => read.Answer.TrySetResult(byKey[read.Key]));
            }
            catch (Exception exception)
            {
                reads.ForEach(read => read.Answer.TrySetException(exception));
            }
        }
    }

    private async Task<List<Read>> TakeAsync()
    {
        int waiting;
        lock (_lock)
        {
            waiting = _waiting.Count;
        }

        if (waiting > 0)
        {
            await atWork.GatherAsync(waiting, keysPerCall, CancellationToken.None);
        }

        lock (_lock)
        {
            var reads = new List<Read>(Math.Min(_waiting.Count, keysPerCall));
            while (reads.Count < keysPerCall && _waiting.TryDequeue(out var read))
            {
                if (!read.Answer.Task.IsCompleted)
                {
                    reads.Add(read);
                }
            }

            _calls -= reads.Count == 0 ? 1 : 0;
            return reads;
        }
    }

    private sealed class Read(string key)
    {
        public string Key => key;

        public TaskCompletionSource<StateValue?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
