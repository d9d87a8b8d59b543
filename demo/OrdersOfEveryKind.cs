using System.Runtime.CompilerServices;

namespace DaprOrders.Demo;

/// <summary>An order that has ended, its events, and how long it took from before the POST.</summary>
public sealed record TravelledOrder(string Title, Order Order, IReadOnlyList<OrderEvent> Events, TimeSpan Took);

/// <summary>Places orders of every kind over the public HTTP API.</summary>
public sealed class OrdersOfEveryKind(ShopClient shop)
{
    private const string InStock = "demo-tea";
    private const string NeverReceived = "demo-rare";

    private static readonly (string Title, string PaymentMethod, string Sku, string Ends)[] Kinds =
    [
        ("paid", "pm_card_ok", InStock, "shipped"),
        ("payment declined", "pm_card_declined", InStock, "cancelled (paymentDeclined)"),
        ("out of stock", "pm_card_ok", NeverReceived, "cancelled (outOfStock)"),
    ];

    public async Task StockAsync(CancellationToken cancellationToken)
    {
        await shop.OfferAsync(InStock, "Demo tea", 4.20m, cancellationToken);
        await shop.OfferAsync(NeverReceived, "Demo rarity", 99m, cancellationToken);
        await shop.ReceiveAsync(InStock, 100, cancellationToken);
    }

    /// <summary>One order of each kind, one after the other, each as it has ended.</summary>
    /// <param name="accepted">Is called when an order was accepted.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ShopException">An order ended otherwise than its kind should.</exception>
    public async IAsyncEnumerable<TravelledOrder> PlaceAsync(Action accepted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var (title, paymentMethod, sku, ends) in Kinds)
        {
            var placed = await shop.PlaceAsync(sku, paymentMethod, cancellationToken);
            accepted();
            var (order, took) = await shop.WaitForEndAsync(placed, cancellationToken);
            yield return new TravelledOrder(title, order, await shop.EventsAsync(order.OrderId, cancellationToken), took);
            if (order.Outcome != ends)
                throw new ShopException($"The order \"{title}\" was expected to end as {ends}, and is {order.Outcome}.");
        }
    }

    /// <summary>How long orders take, one at a time, from before the POST until they are shipped: the median.</summary>
    /// <exception cref="ShopException">One is not shipped.</exception>
    public async Task<TimeSpan> MedianToShippedAsync(int orders, CancellationToken cancellationToken)
    {
        var times = new List<TimeSpan>();
        for (var i = 0; i < orders; i++)
        {
            var (order, took) = await shop.WaitForEndAsync(await shop.PlaceAsync(InStock, "pm_card_ok", cancellationToken), cancellationToken);
            if (order.Status != "shipped")
                throw new ShopException($"Order {order.OrderId} was expected to be shipped, and is {order.Outcome}.");
            times.Add(took);
        }

        return times.Order().ElementAt(orders / 2);
    }
}
