using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DaprOrders.Bench.Orders;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// What an order costs, in calls of the services to their sidecars and deliveries to the services: times on a busy machine say little, these
/// are the same everywhere. Whoever adds a call to every order sees it here.
/// </summary>
public sealed class CallBudgetTests : IAsyncLifetime
{
    private const int OneAtATime = 40;
    private const int AtOnce = 500;

    private const string Reporting = "reporting";

    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(10);

    /// <summary>An order costs something afterwards, too: the catch-up comes to its events ten seconds later, and looks every five.</summary>
    private static readonly TimeSpan Afterwards = TimeSpan.FromSeconds(17);

    private readonly Installation _installation = new();
    private readonly HttpClient _http = new();
    private readonly Shop _shop;
    private readonly OrdersSystem _system;
    private CallCounts _idle = null!;

    public CallBudgetTests()
    {
        _system = new OrdersSystem(_installation);
        _shop = _system.Shop;
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _system.InitializeAsync();
        await PlaceAsync(await _shop.StockAsync(20), 20, together: false);
        await Task.Delay(Afterwards, Cancellation);
        var before = await CountAsync();
        await Task.Delay(Rest, Cancellation);
        _idle = (await CountAsync()).Since(before);
    }

    public async ValueTask DisposeAsync()
    {
        await _system.DisposeAsync();
        _installation.Dispose();
        _http.Dispose();
    }

    /// <summary>
    /// Reporting reads the logs when it was woken, then waits for what follows, the longer the slower the machine is: so an order is read once or less.
    /// Its share depends on that and on nothing else, and what the others cost is the same everywhere.
    /// </summary>
    [Fact]
    public async Task An_order_by_itself_costs_at_most_65_calls_and_deliveries_and_55_without_Reporting()
    {
        var cost = await MeasureAsync(OneAtATime, together: false);

        AssertAtMost(65, cost.Total / OneAtATime, "in all", cost, OneAtATime);
        AssertAtMost(55, (cost.Total - cost.Of(Reporting)) / OneAtATime, "but for Reporting", cost, OneAtATime);
    }

    [Fact]
    public async Task Of_five_hundred_orders_at_once_each_costs_at_most_5_calls_and_deliveries()
    {
        var cost = await MeasureAsync(AtOnce, together: true);

        AssertAtMost(5, cost.Total / AtOnce, "in all", cost, AtOnce);
    }

    /// <summary>Leases, the catch-up's looks and Reporting's: what is taken off above must not grow unseen.</summary>
    [Fact]
    public void A_system_at_rest_makes_at_most_20_calls_a_second() => AssertAtMost(20, _idle.Total / Rest.TotalSeconds, "at rest, a second", _idle, (int)Rest.TotalSeconds);

    private static void AssertAtMost(double expected, double actual, string where, CallCounts cost, int orders) => Assert.True(
        actual <= expected, $"{actual:0.0} calls and deliveries {where}, at most {expected:0.0} are expected:\n{cost.Table(orders)}");

    private async Task<CallCounts> MeasureAsync(int orders, bool together)
    {
        var sku = await _shop.StockAsync(orders);
        var (before, clock) = (await CountAsync(), Stopwatch.StartNew());

        await PlaceAsync(sku, orders, together);
        await Task.Delay(Afterwards, Cancellation);

        var cost = (await CountAsync()).Since(before, _idle, clock.Elapsed / Rest);
        TestContext.Current.TestOutputHelper?.WriteLine(cost.Table(orders));
        return cost;
    }

    /// <summary>Places orders and waits until they are shipped and reported, by ways that cost an application no call: it is the services that are asked, and the counts.</summary>
    private async Task PlaceAsync(string sku, int orders, bool together)
    {
        var (reported, published) = (await ShippedAsync(), await PublishedAsync());
        if (together)
        {
            await Task.WhenAll(Enumerable.Range(0, orders).Select(_ => PlaceAsync(sku)));
        }
        else
        {
            for (var order = 0; order < orders; order++)
            {
                await PlaceAsync(sku);
                published += CallCounts.EventsOfAnOrder;
                await Until.Async(PublishedAsync, count => count >= published, "the order to be shipped");
            }
        }

        await Until.Async(ShippedAsync, shipped => shipped == reported + orders, $"{orders} orders to be reported as shipped");
    }

    private async Task PlaceAsync(string sku)
    {
        using var answer = await _http.PostAsJsonAsync(
            new Uri(AppOf("ordering"), "orders"), new { customerId = "c-1", paymentMethod = "pm_card_ok", lines = new[] { new { sku, quantity = 1 } } }, Cancellation);
        await Shop.ReadAsync(answer, HttpStatusCode.Created);
    }

    // What the sidecar has counted: to ask Ordering for the order would be a call more.
    private async Task<double> PublishedAsync() => (await CallCounts.ReadAsync(_http, [MetricsOf("ordering")], Cancellation)).EventsPublished;

    private async Task<long> ShippedAsync() => (await GetAsync(Reporting, "summary"))["byStatus"]!["shipped"]?.GetValue<long>() ?? 0;

    private async Task<JsonNode> GetAsync(string app, string path)
    {
        using var answer = await _http.GetAsync(new Uri(AppOf(app), path), Cancellation);
        return await Shop.ReadAsync(answer, HttpStatusCode.OK);
    }

    private Task<CallCounts> CountAsync() => CallCounts.ReadAsync(_http, Shop.Apps.Select(MetricsOf), Cancellation);

    private Uri MetricsOf(string app) => new($"http://localhost:{_installation.PortOf(app, "metricsPort")}/metrics");

    private Uri AppOf(string app) => new($"http://localhost:{_installation.PortOf(app, "appPort")}/");
}
