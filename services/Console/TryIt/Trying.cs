using DaprOrders.Console.Calling;
using Microsoft.Extensions.Options;

namespace DaprOrders.Console.TryIt;

/// <param name="Ends">What becomes of it.</param>
/// <param name="PaymentMethod">The simulated provider does by it what the kind says.</param>
public sealed record Kind(string Title, string Ends, string PaymentMethod, string Sku);

public sealed record PlacedOrder(string OrderId, string Status);

/// <summary>Orders of every kind, for people who see the system for the first time.</summary>
public sealed class Trying(ServicesClient services, IOptions<ConsoleOptions> options, IHostEnvironment environment)
{
    private const string Tea = "try-tea";
    private const string Rarity = "try-rarity";
    private const string Customer = "try-it";
    private const int Pieces = 1000;

    public static IReadOnlyList<Kind> Kinds { get; } =
    [
        new("An order that goes well", "is shipped within a second", "pm_card_ok", Tea),
        new("A card that is declined", "is cancelled, and its goods become free again", "pm_card_declined", Tea),
        new("Something that is out of stock", "is cancelled before anybody pays", "pm_card_ok", Rarity),
        new("A provider that fails now and then", "is shipped after some attempts", "pm_flaky", Tea),
        new("A provider that is slow", "is shipped some seconds later: time enough to cancel it", "pm_slow", Tea),
    ];

    public bool IsOffered => options.Value.TryIt ?? environment.IsDevelopment();

    /// <summary>What is ordered here is put on the price list, and in stock, if it is not.</summary>
    public async Task<Failure?> StockAsync(CancellationToken cancellationToken)
    {
        var rarity = await ListAsync(Rarity, "Tea of 1921", 990m, cancellationToken);
        var tea = await ListAsync(Tea, "White tea", 12.40m, cancellationToken);
        if ((rarity.Failure ?? tea.Failure) is { } unable)
            return unable;
        if (tea.Value?.Available >= Pieces / 10)
            return null;
        return (await services.SendAsync<Product>(HttpMethod.Post, Apps.Inventory, $"products/{Tea}/receipts", new { quantity = Pieces }, cancellationToken)).Failure;
    }

    public Task<Answer<PlacedOrder>> PlaceAsync(Kind kind, CancellationToken cancellationToken) => services.SendAsync<PlacedOrder>(
        HttpMethod.Post, Apps.Ordering, "orders",
        new { customerId = Customer, paymentMethod = kind.PaymentMethod, lines = new[] { new { sku = kind.Sku, quantity = 1 } } }, cancellationToken);

    private async Task<Answer<Product>> ListAsync(string sku, string name, decimal amount, CancellationToken cancellationToken)
    {
        var listed = await services.GetAsync<Product>(Apps.Inventory, $"products/{sku}", cancellationToken);
        return listed is { Failure.IsMissing: true }
            ? await services.SendAsync<Product>(HttpMethod.Put, Apps.Inventory, $"products/{sku}", new { name, price = new { amount, currency = "EUR" } }, cancellationToken)
            : listed;
    }
}
