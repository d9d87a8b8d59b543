using System.Globalization;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.Tests;

/// <summary>A state store that answers at once and keeps its promises; the event store's own tests are about those that do not.</summary>
public sealed class MemoryState : IStateApi
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, StateValue> _values = [];
    private long _writes;

    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => Task.FromResult(BatchWrites.Atomic);

    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return Task.FromResult(_values.GetValueOrDefault(key));
        }
    }

    public async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        await Task.WhenAll(keys.Select(key => GetAsync(key, cancellationToken)));

    public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return Task.FromResult(Write([write]));
        }
    }

    public Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return Write(writes) ? Task.CompletedTask : Task.FromException(new InvalidOperationException("Another ETag, or the key exists: nothing is written."));
        }
    }

    private bool Write(IReadOnlyList<StateWrite> writes)
    {
        if (writes.Any(write => _values.GetValueOrDefault(write.Key)?.ETag != write.ETag))
        {
            return false;
        }

        foreach (var write in writes)
        {
            _values[write.Key] = new StateValue(write.Value.ToArray(), (++_writes).ToString(CultureInfo.InvariantCulture));
        }

        return true;
    }
}
