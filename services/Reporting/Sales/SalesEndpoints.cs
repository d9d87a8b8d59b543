using DaprOrders.Contracts;
using DaprOrders.Reporting.Following;
using DaprOrders.Reporting.Orders;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Reporting.Sales;

/// <param name="Orders">All orders ever placed.</param>
/// <param name="ByStatus">Every status, also those that no order has.</param>
/// <param name="Sold">Orders that were paid and not cancelled afterwards.</param>
/// <param name="Revenue">Of these orders, one amount per currency.</param>
internal sealed record SummaryView(long Orders, IReadOnlyDictionary<string, long> ByStatus, long Sold, IReadOnlyList<Money> Revenue);

/// <param name="Orders">Paid on this day (UTC), and not cancelled since.</param>
internal sealed record DayView(DateOnly Date, long Orders, IReadOnlyList<Money> Revenue);

internal sealed record DailySalesView(DateOnly From, DateOnly To, IReadOnlyList<DayView> Days);

/// <param name="Units">Sold in orders that were paid and not cancelled since.</param>
internal sealed record ProductView(string Sku, string? Name, long Units, IReadOnlyList<Money> Revenue);

internal sealed record ProductSalesView(IReadOnlyList<ProductView> Products);

internal static class SalesEndpoints
{
    private const int MostDays = 366;
    private const int UsualDays = 30;
    private const int MostProducts = 1000;
    private const int UsualProducts = 100;

    public static void MapSales(this WebApplication app)
    {
        app.MapGet("/summary", SummaryAsync).WithTags("Sales").AnswersProblems(503)
            .WithSummary("Orders by status, and the revenue: orders paid, less those cancelled afterwards.");
        app.MapGet("/sales/daily", DailyAsync).WithTags("Sales").AnswersProblems(400, 503)
            .WithSummary("Sales by the day (UTC) on which the order was paid; from and to are dates and both included.");
        app.MapGet("/sales/products", ProductsAsync).WithTags("Sales").AnswersProblems(400, 503)
            .WithSummary("Sales by product, the most units first.");
    }

    private static async Task<Ok<SummaryView>> SummaryAsync(Projections projections, CancellationToken cancellationToken)
    {
        var sales = await projections.ServingSalesAsync(cancellationToken);
        var lanes = await sales.ReadLanesAsync(cancellationToken);
        var byStatus = OrderStatus.All.ToDictionary(status => status, status => lanes.Sum(lane => lane.Tally.Orders.GetValueOrDefault(status)));
        var sold = lanes.Aggregate(Sold.Nothing, (sum, lane) => sum + lane.Tally.Sold);
        return TypedResults.Ok(new SummaryView(byStatus.Values.Sum(), byStatus, sold.Count, sold.Amounts()));
    }

    private static async Task<Results<Ok<DailySalesView>, ProblemHttpResult>> DailyAsync(
        Projections projections, TimeProvider time, DateOnly? from, DateOnly? to, CancellationToken cancellationToken)
    {
        var last = to ?? (from is { } start && start > Today(time) ? start : Today(time));
        var first = from ?? DateOnly.FromDayNumber(Math.Max(0, last.DayNumber - UsualDays + 1));
        var errors = new FieldErrors()
            .Require(first <= last, "from", $"Expected a day not after 'to' ({last:yyyy-MM-dd}); got {first:yyyy-MM-dd}.")
            .Require(last.DayNumber - first.DayNumber < MostDays, "to", $"Expected at most {MostDays} days from {first:yyyy-MM-dd}; got {last:yyyy-MM-dd}.");
        if (errors.Any)
            return errors.ToProblem();

        var sales = await projections.ServingSalesAsync(cancellationToken);
        var days = await sales.ReadDaysAsync(first, last, cancellationToken);
        return TypedResults.Ok(new DailySalesView(first, last, [.. days.Select(day => new DayView(day.Day, day.Sold.Count, day.Sold.Amounts()))]));
    }

    private static async Task<Results<Ok<ProductSalesView>, ProblemHttpResult>> ProductsAsync(
        Projections projections, int? limit, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireRange(limit ?? UsualProducts, "limit", 1, MostProducts);
        if (errors.Any)
            return errors.ToProblem();

        var sales = await projections.ServingSalesAsync(cancellationToken);
        var products = (await sales.ReadProductsAsync(cancellationToken))
            .Where(product => product.Value.Count != 0)
            .OrderByDescending(product => product.Value.Count)
            .ThenBy(product => product.Key, StringComparer.Ordinal)
            .Take(limit ?? UsualProducts)
            .Select(product => new ProductView(product.Key, product.Value.Name, product.Value.Count, product.Value.Amounts()));
        return TypedResults.Ok(new ProductSalesView([.. products]));
    }

    private static DateOnly Today(TimeProvider time) => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
}
