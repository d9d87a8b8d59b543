using System.Text;
using EmbeddedSidecar.Components.PubSub;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>Collects what a component delivers; the test waits for a number of messages, never for a time.</summary>
internal sealed class CollectingHandler(Func<string, DeliveryResult>? answer = null)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly Lock _lock = new();
    private readonly List<string> _received = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> _waiting = [];
    private int _running;

    public int MostAtOnce { get; private set; }

    public IReadOnlyList<string> Received
    {
        get
        {
            lock (_lock)
                return [.. _received];
        }
    }

    public Task<DeliveryResult> Handle(BrokerMessage message, CancellationToken _) => Task.FromResult(Take(message));

    public Task HandleBatch(IMessageBatch batch, CancellationToken _)
    {
        for (var i = 0; i < batch.Messages.Count; i++)
            batch.Finish(i, Take(batch.Messages[i]));
        return Task.CompletedTask;
    }

    /// <summary>Handles each message until the gate opens.</summary>
    public Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> Gated(Task gate) => async (message, cancellationToken) =>
    {
        lock (_lock)
            MostAtOnce = Math.Max(MostAtOnce, ++_running);
        var result = Take(message);
        await gate.WaitAsync(cancellationToken);
        lock (_lock)
            _running--;
        return result;
    };

    public async Task<IReadOnlyList<string>> WaitFor(int count)
    {
        TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_received.Count >= count)
                return [.. _received];
            _waiting.Add((count, reached));
        }

        try
        {
            await reached.Task.WaitAsync(Limit, TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"Expected {count} messages within {Limit}, got {Received.Count}: {string.Join(", ", Received.Take(20))}");
        }

        return Received;
    }

    private DeliveryResult Take(BrokerMessage message)
    {
        var text = Encoding.UTF8.GetString(message.Data.Span);
        var result = answer?.Invoke(text) ?? DeliveryResult.Done;
        lock (_lock)
        {
            _received.Add(text);
            foreach (var (_, reached) in _waiting.Where(one => one.Count <= _received.Count))
                reached.TrySetResult();
        }

        return result;
    }
}
