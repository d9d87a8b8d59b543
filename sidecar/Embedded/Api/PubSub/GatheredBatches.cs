using System.Threading.Channels;
using EmbeddedSidecar.Components.PubSub;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>
/// Bulk delivery over a component that hands messages over one by one: a batch is filled from what the component has in flight until it
/// is full, or its time since the first message is over (pkg/runtime/pubsub/default_bulksub.go). Where daprd waits that time in vain, because the
/// component has no more than these in flight, the batch goes at once.
/// </summary>
internal sealed class GatheredBatches : IAsyncDisposable
{
    private readonly Channel<Waiting> _messages = Channel.CreateUnbounded<Waiting>(new() { SingleReader = true });
    private readonly int _maxMessages;
    private readonly TimeSpan _maxWait;
    private readonly TimeProvider _time;
    private readonly Func<IMessageBatch, CancellationToken, Task> _handler;
    private readonly int _atOnce;
    private readonly Task _running;
    private int _open;
    private IAsyncDisposable? _subscription;

    private GatheredBatches(
        int maxMessages, int atOnce, TimeSpan maxWait, TimeProvider time, Func<IMessageBatch, CancellationToken, Task> handler, CancellationToken stopping)
    {
        (_maxMessages, _atOnce, _maxWait, _time, _handler) = (maxMessages, atOnce, maxWait, time, handler);
        _running = RunAsync(stopping);
    }

    /// <summary>The subscribing ends with <paramref name="cancellationToken"/>, what handles a batch with <paramref name="stopping"/>.</summary>
    public static async Task<IAsyncDisposable> SubscribeAsync(
        IPubSub broker,
        TopicSubscription subscription,
        int maxMessages,
        TimeSpan maxWait,
        TimeProvider time,
        Func<IMessageBatch, CancellationToken, Task> handler,
        CancellationToken stopping,
        CancellationToken cancellationToken)
    {
        var batches = new GatheredBatches(maxMessages, broker.AtOnce, maxWait, time, handler, stopping);
        try
        {
            batches._subscription = await broker.SubscribeAsync(subscription, batches.AddAsync, cancellationToken);
            return batches;
        }
        catch
        {
            await batches.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_subscription is not null)
            await _subscription.DisposeAsync();
        _messages.Writer.Complete();
        await _running;
    }

    private async Task<DeliveryResult> AddAsync(BrokerMessage message, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(message);
        Interlocked.Increment(ref _open);
        try
        {
            return _messages.Writer.TryWrite(waiting) ? await waiting.Result.WaitAsync(cancellationToken) : DeliveryResult.Failed;
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        var handling = Task.CompletedTask;
        while (await _messages.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var batch = new Batch(await GatherAsync());
            var handled = HandleAsync(batch, stopping);
            await Task.WhenAny(handled, batch.NextMayCome);
            handling = handling.IsCompleted ? handled : Task.WhenAll(handling, handled);
        }

        await handling;
    }

    private async Task HandleAsync(Batch batch, CancellationToken stopping)
    {
        try
        {
            await _handler(batch, stopping);
            batch.End(null);
        }
        catch (Exception error)
        {
            // Each message's own delivery ends with it, and the component reports it.
            batch.End(error);
        }
    }

    private async Task<List<Waiting>> GatherAsync()
    {
        var messages = new List<Waiting>();
        using var over = new CancellationTokenSource(_maxWait, _time);
        try
        {
            while (messages.Count < _maxMessages && await _messages.Reader.WaitToReadAsync(over.Token))
            {
                while (messages.Count < _maxMessages && _messages.Reader.TryRead(out var message))
                    messages.Add(message);
                if (Volatile.Read(ref _open) >= _atOnce && !_messages.Reader.TryPeek(out _))
                    break;
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The time is over: what came is the batch.
        }

        return messages;
    }

    /// <summary>A message whose delivery by the component waits for its batch.</summary>
    private sealed class Waiting(BrokerMessage message)
    {
        private readonly TaskCompletionSource<DeliveryResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public BrokerMessage Message { get; } = message;

        public Task<DeliveryResult> Result => _result.Task;

        public void Finish(DeliveryResult result) => _result.TrySetResult(result);

        public void Fail(Exception error) => _result.TrySetException(error);
    }

    private sealed class Batch(List<Waiting> waiting) : IMessageBatch
    {
        private readonly TaskCompletionSource _nextMayCome = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public IReadOnlyList<BrokerMessage> Messages { get; } = waiting.ConvertAll(one => one.Message);

        public Task NextMayCome => _nextMayCome.Task;

        public void Finish(int index, DeliveryResult result) => waiting[index].Finish(result);

        public void LetNextCome() => _nextMayCome.TrySetResult();

        public void End(Exception? error)
        {
            foreach (var one in waiting)
            {
                if (error is null)
                    one.Finish(DeliveryResult.Failed);
                else
                    one.Fail(error);
            }

            LetNextCome();
        }
    }
}
