using DaprOrders.EventSourcing;

namespace DaprOrders.ServiceDefaults.Topics;

/// <summary>Gathers what arrives while a batch is at work into the next one.</summary>
internal sealed class Batches(Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle, CancellationToken stopping) : IHandling
{
    /// <summary>Events in a batch at the most: bounds the memory and the size of one call to the sidecar.</summary>
    private const int MostEvents = 1000;

    private readonly Lock _lock = new();
    private readonly Queue<Waiting> _waiting = [];
    private bool _isAtWork;

    public Task HandleAsync(IReadOnlyList<IncomingEvent> eventsOfOneStream, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(eventsOfOneStream);
        lock (_lock)
        {
            _waiting.Enqueue(waiting);
            if (!_isAtWork)
            {
                _isAtWork = true;
                _ = Task.Run(WorkAsync, CancellationToken.None);
            }
        }

        return waiting.Done.Task.WaitAsync(cancellationToken);
    }

    private async Task WorkAsync()
    {
        while (NextBatch() is { Count: > 0 } batch)
        {
            var failure = await TryAsync(batch);
            if (failure is not null && batch.Count > 1)
            {
                foreach (var waiting in batch)
                    waiting.Complete(await TryAsync([waiting]));
            }
            else
            {
                foreach (var waiting in batch)
                    waiting.Complete(failure);
            }
        }
    }

    private List<Waiting> NextBatch()
    {
        lock (_lock)
        {
            var batch = new List<Waiting>();
            for (var events = 0; _waiting.TryPeek(out var next) && (batch.Count == 0 || events + next.Events.Count <= MostEvents);)
            {
                events += next.Events.Count;
                batch.Add(_waiting.Dequeue());
            }

            _isAtWork = batch.Count > 0;
            return batch;
        }
    }

    private async Task<Exception?> TryAsync(List<Waiting> batch)
    {
        try
        {
            // The same stream may wait twice, from deliveries of different events.
            await handle(
                [.. batch.SelectMany(waiting => waiting.Events)
                    .DistinctBy(incoming => (incoming.Publisher, incoming.Recorded.Stream, incoming.Recorded.Version))
                    .OrderBy(incoming => incoming.Recorded.Version)],
                stopping);
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
    }

    private sealed record Waiting(IReadOnlyList<IncomingEvent> Events)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Complete(Exception? failure)
        {
            if (failure is null)
                Done.TrySetResult();
            else
                Done.TrySetException(failure);
        }
    }
}
