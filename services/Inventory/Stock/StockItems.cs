using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.Stock;

/// <summary>
/// The stock of all SKUs. Commands of concurrent orders for one SKU share an append: a batch is what queued while the last one was
/// written. Replicas that write the same stock meet at its stream's ETag, and whoever was slower decides anew.
/// </summary>
public sealed class StockItems(ApplyToStock apply, IHostApplicationLifetime lifetime)
{
    private const int MostCommands = 256;

    /// <summary>An order of a hundred lines asks a hundred stocks at once; a flood of them must not fill the event store's queue.</summary>
    private const int MostAppends = 128;

    private readonly SemaphoreSlim _appends = new(MostAppends);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Queue<Waiting>> _queues = [];

    /// <summary>One append for the whole batch; after a conflict with another replica everything is decided anew.</summary>
    /// <returns>One answer for each command.</returns>
    public static async Task<StockAnswer[]> ApplyAsync(EventStore store, string sku, IReadOnlyList<StockCommand> commands, CancellationToken cancellationToken)
    {
        IReadOnlyList<StockAnswer> answers = [];
        await store.HandleAsync(
            StockItem.Category,
            sku,
            [.. commands.SelectMany(command => command.RestsOn)],
            (stock, known) =>
            {
                (var happened, answers) = StockDecider.Decide(stock, known, commands);
                return Decision<StockEvent>.Of([.. happened]);
            },
            new CommandContext(),
            cancellationToken);
        return [.. answers];
    }

    /// <exception cref="EventStoreUnavailableException">The stock did not answer; it may have done what was asked, and is to be asked again.</exception>
    public async Task<StockAnswer> SendAsync(string sku, StockCommand command, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(command, new TaskCompletionSource<StockAnswer>(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (_gate)
        {
            if (_queues.TryGetValue(sku, out var queue))
            {
                queue.Enqueue(waiting);
            }
            else
            {
                _queues.Add(sku, new Queue<Waiting>([waiting]));
                _ = SendAllAsync(sku);
            }
        }

        using var cancelled = cancellationToken.Register(() => waiting.Answer.TrySetCanceled(cancellationToken));
        return await waiting.Answer.Task;
    }

    /// <summary>Runs while commands for the SKU keep coming.</summary>
    private async Task SendAllAsync(string sku)
    {
        // Neither in the lock, nor before whoever asked has gone on to the next SKU.
        await Task.Yield();
        var isMore = true;
        while (isMore)
        {
            await _appends.WaitAsync();
            try
            {
                var batch = Take(sku);
                isMore = batch.Length > 0;
                if (isMore)
                {
                    await SendAsync(sku, batch);
                }
            }
            finally
            {
                _appends.Release();
            }
        }
    }

    private async Task SendAsync(string sku, Waiting[] batch)
    {
        try
        {
            var answers = await apply(sku, [.. batch.Select(waiting => waiting.Command)], lifetime.ApplicationStopping);
            for (var i = 0; i < batch.Length; i++)
            {
                batch[i].Answer.TrySetResult(answers[i]);
            }
        }
        catch (Exception exception)
        {
            // Whoever asked hears of it.
            var failure = exception is OperationCanceledException
                ? new EventStoreUnavailableException($"The stock of {sku} did not answer. Try again later.", exception)
                : exception;
            foreach (var waiting in batch)
            {
                waiting.Answer.TrySetException(failure);
            }
        }
    }

    private Waiting[] Take(string sku)
    {
        lock (_gate)
        {
            var queue = _queues[sku];
            var batch = new Waiting[Math.Min(queue.Count, MostCommands)];
            for (var i = 0; i < batch.Length; i++)
            {
                batch[i] = queue.Dequeue();
            }

            if (batch.Length == 0)
            {
                _queues.Remove(sku);
            }

            return batch;
        }
    }

    private sealed record Waiting(StockCommand Command, TaskCompletionSource<StockAnswer> Answer);
}

/// <summary>Applies a batch to the stock of one SKU.</summary>
public delegate Task<StockAnswer[]> ApplyToStock(string sku, StockCommand[] commands, CancellationToken cancellationToken);
