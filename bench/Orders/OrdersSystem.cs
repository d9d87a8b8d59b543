using System.Diagnostics;
using System.Globalization;
using System.Net;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>A running system, seen from outside: what it sells, how far its orders are.</summary>
internal sealed class OrdersSystem(Uri ordering, Uri inventory, Uri reporting) : IDisposable
{
    private const int Stock = 1_000_000;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(30) };

    public Uri Ordering => ordering;

    /// <summary>Where orders are placed.</summary>
    public IReadOnlyList<Uri> OrderingReplicas { get; init; } = [ordering];

    /// <summary>Of the services, in dapr.yaml.</summary>
    public static IReadOnlyList<(string App, int Port)> Services { get; } = [("ordering", 5101), ("inventory", 5102), ("payments", 5103), ("shipping", 5104), ("reporting", 5105)];

    public static IReadOnlyList<string> Apps { get; } = [.. Services.Select(service => service.App)];

    public static OrdersSystem At(string host) => new(AddressOf(host, "ordering"), AddressOf(host, "inventory"), AddressOf(host, "reporting"));

    public static Uri AddressOf(string host, string app) => new($"http://{host}:{Services.Single(service => service.App == app).Port}");

    public static OrdersSystem At(StartedSystem started) =>
        new(started.AddressesOf("ordering")[0], started.AddressesOf("inventory")[0], started.AddressesOf("reporting")[0])
        {
            OrderingReplicas = started.AddressesOf("ordering"),
        };

    /// <summary>Puts products on the price list and enough of each in stock.</summary>
    public async Task OfferAsync(IReadOnlyList<string> skus, CancellationToken cancellationToken)
    {
        foreach (var sku in skus)
        {
            using var put = await _http.PutAsJsonAsync(
                new Uri(inventory, $"products/{sku}"), new { name = "Tea", price = new { amount = 9.5m, currency = "EUR" } }, cancellationToken);
            put.EnsureSuccessStatusCode();
            using var receipt = await _http.PostAsJsonAsync(new Uri(inventory, $"products/{sku}/receipts"), new { quantity = Stock }, cancellationToken);
            receipt.EnsureSuccessStatusCode();
        }
    }

    /// <summary>Null when Reporting does not run.</summary>
    public async Task<Summary?> SummaryAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _http.GetFromJsonAsync(new Uri(reporting, "summary"), EchoJson.Default.Summary, cancellationToken);
        }
        catch (HttpRequestException exception) when (exception.HttpRequestError == HttpRequestError.ConnectionError)
        {
            return null;
        }
    }

    /// <summary>Waits until that many orders are shipped or cancelled; how many are, and when the last one was seen.</summary>
    public async Task<(Summary Last, TimeSpan Took)> UntilFinalAsync(long final, TimeSpan atMost, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(Poll);
        while (true)
        {
            var summary = await SummaryAsync(cancellationToken) ?? throw new InvalidOperationException($"Reporting does not answer at {reporting}.");
            if (summary.Final >= final || clock.Elapsed > atMost)
                return (summary, clock.Elapsed);
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>From when an order was due to its shipment, ms, by the time that is in the order itself.</summary>
    public async Task<Samples> JourneysAsync(IEnumerable<Placed> orders, CancellationToken cancellationToken)
    {
        var journeys = new Samples();
        foreach (var (path, due) in orders)
        {
            using var answer = await _http.GetAsync(new Uri(ordering, path), cancellationToken);
            if (answer.StatusCode != HttpStatusCode.OK)
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{path} answered {(int)answer.StatusCode}."));
            var order = await answer.Content.ReadFromJsonAsync(EchoJson.Default.Order, cancellationToken);
            if (order?.Shipment is { } shipment)
                journeys.Add((shipment.At - due).TotalMilliseconds);
        }

        return journeys;
    }

    /// <summary>Fills a new version of Reporting's read models, and waits until it serves.</summary>
    public async Task<(long Events, TimeSpan Took)> RebuildAsync(TimeSpan atMost, CancellationToken cancellationToken)
    {
        var former = (await ProjectionsAsync(cancellationToken)).Serving.Version;
        var clock = Stopwatch.StartNew();
        using var asked = await _http.PostAsync(new Uri(reporting, "projections/rebuild"), null, cancellationToken);
        asked.EnsureSuccessStatusCode();
        using var timer = new PeriodicTimer(Poll);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            var state = await ProjectionsAsync(cancellationToken);
            if (state.Serving.Version != former)
                return (state.Serving.Events, clock.Elapsed);
            if (clock.Elapsed > atMost)
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"After {clock.Elapsed} the rebuild is at {state.Building?.Events} events of {state.Serving.Events}."));
        }

        throw new OperationCanceledException(cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private async Task<ProjectionState> ProjectionsAsync(CancellationToken cancellationToken) =>
        (await _http.GetFromJsonAsync(new Uri(reporting, "projections"), EchoJson.Default.ProjectionState, cancellationToken))!;
}
