namespace EmbeddedSidecar.Resiliency;

/// <summary>Values by name, of which only those that were asked for last are kept. Safe for many threads.</summary>
internal sealed class RecentlyUsed<T>(int capacity)
{
    private readonly Dictionary<string, LinkedListNode<(string Name, T Value)>> _byName = new(StringComparer.Ordinal);
    private readonly LinkedList<(string Name, T Value)> _lastUsedFirst = new();
    private readonly Lock _lock = new();

    public T GetOrAdd(string name, Func<T> create)
    {
        lock (_lock)
        {
            if (_byName.TryGetValue(name, out var known))
            {
                _lastUsedFirst.Remove(known);
                _lastUsedFirst.AddFirst(known);
                return known.Value.Value;
            }

            if (_byName.Count == capacity)
            {
                _byName.Remove(_lastUsedFirst.Last!.Value.Name);
                _lastUsedFirst.RemoveLast();
            }

            var value = create();
            _byName[name] = _lastUsedFirst.AddFirst((name, value));
            return value;
        }
    }
}
