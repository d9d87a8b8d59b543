using System.Runtime.CompilerServices;

namespace EmbeddedSidecar.Expressions;

/// <summary>The names that a part of an expression sees. Macros, and <c>in</c> within them, multiply what they go over, so the items of one evaluation are counted.</summary>
internal sealed class CelScope
{
    private const int MostItems = 1_000_000;

    private readonly IReadOnlyDictionary<string, object?> _variables;
    private readonly StrongBox<int> _items;
    private readonly CelScope? _outer;
    private readonly string? _name;

    public CelScope(IReadOnlyDictionary<string, object?> variables) => (_variables, _items) = (variables, new());

    private CelScope(CelScope outer, string name, object? item) => (_variables, _items, _outer, _name, Item) = (outer._variables, outer._items, outer, name, item);

    /// <summary>What the innermost macro is at.</summary>
    public object? Item { get; }

    /// <exception cref="CelException">It goes over too many items.</exception>
    public CelScope With(string name, object? item)
    {
        Count(1);
        return new(this, name, item);
    }

    /// <exception cref="CelException">It goes over too many items.</exception>
    public void Count(int items)
    {
        // What is caught on the way, since another side decides, stays over the bound.
        _items.Value = Math.Min(_items.Value + items, MostItems + 1);
        if (_items.Value > MostItems)
            throw new CelException($"it goes over more than {MostItems} items");
    }

    public bool TryGet(string name, out object? value)
    {
        for (var scope = this; scope._outer is not null; scope = scope._outer)
        {
            if (scope._name == name)
            {
                value = scope.Item;
                return true;
            }
        }

        return _variables.TryGetValue(name, out value);
    }
}
