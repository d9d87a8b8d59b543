using System.Collections.Concurrent;
using DaprOrders.EventSourcing;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.Pricing;

/// <summary>
/// The prices at which orders are placed. Known ones are answered from memory without waiting. The replicas of this service share the
/// messages of topic <c>products</c>, so what another one has consumed is noticed by reading the common replica again once a price is
/// older than <see cref="OrderingOptions.PriceAge"/>. What the replica lacks is asked of Inventory.
/// </summary>
public sealed class PriceList(
    ProductReplica replica, InventoryProducts inventory, IOptions<OrderingOptions> options, TimeProvider time)
{
    // More SKUs than most shops have; beyond it the memory is emptied rather than grown.
    private const int MaxRemembered = 100_000;

    private readonly ConcurrentDictionary<string, Remembered> _remembered = new();
    private readonly TimeSpan _maxAge = options.Value.PriceAge;

    /// <summary>The products in the order asked for; null where there is no such product.</summary>
    /// <exception cref="ServiceUnavailableException">A product is not known here and Inventory does not answer.</exception>
    public ValueTask<Product?[]> FindAsync(IReadOnlyList<string> skus, CancellationToken cancellationToken)
    {
        var found = new Product?[skus.Count];
        List<int>? missing = null;
        for (var i = 0; i < skus.Count; i++)
        {
            if (!TryRemember(skus[i], out found[i]))
                (missing ??= []).Add(i);
        }

        return missing is null ? new(found) : new(LookUpAsync(skus, found, missing, cancellationToken));
    }

    /// <summary>Topic <c>products</c>: every event tells the whole product, so only the latest of them matters.</summary>
    public async Task FollowAsync(IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken) =>
        Remember(await replica.ApplyAsync([Product.Of(events[^1])], cancellationToken));

    private bool TryRemember(string sku, out Product? product)
    {
        product = null;
        if (!_remembered.TryGetValue(sku, out var remembered))
            return false;

        product = remembered.Product;
        return time.GetElapsedTime(remembered.ReadAt) <= _maxAge;
    }

    private async Task<Product?[]> LookUpAsync(
        IReadOnlyList<string> skus, Product?[] found, List<int> missing, CancellationToken cancellationToken)
    {
        var read = (await replica.ReadAsync(missing.Select(i => skus[i]), cancellationToken)).ToDictionary(product => product.Sku);
        string[] unknown = [.. missing.Select(i => skus[i]).Where(sku => !read.ContainsKey(sku)).Distinct()];
        if (unknown.Length > 0)
        {
            foreach (var product in await replica.ApplyAsync(await inventory.FindAsync(unknown, cancellationToken), cancellationToken))
                read.Add(product.Sku, product);
        }

        Remember(read.Values);
        foreach (var i in missing)
            found[i] = read.GetValueOrDefault(skus[i]);

        return found;
    }

    private void Remember(IEnumerable<Product> products)
    {
        foreach (var product in products)
            Remember(product);
    }

    private void Remember(Product product)
    {
        if (_remembered.Count >= MaxRemembered)
            _remembered.Clear();

        var remembered = new Remembered(product, time.GetTimestamp());
        _remembered.AddOrUpdate(product.Sku, remembered, (_, known) => known.Product.Version > product.Version ? known : remembered);
    }

    private sealed record Remembered(Product Product, long ReadAt);
}
