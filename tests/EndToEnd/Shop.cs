using System.Net;
using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>What a client does with the system, over HTTP: the services through their sidecars, the payment provider directly.</summary>
public sealed class Shop(Func<string, Uri> daprOf, Uri paymentProvider) : IDisposable
{
    private static readonly string[] Services = ["ordering", "inventory", "payments", "shipping", "reporting"];

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromMinutes(2) };

    public static IReadOnlyList<string> Apps => Services;

    public Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string app, string path, object? body = null, params (string Name, string Value)[] headers) =>
        SendThroughAsync(app, method, app, path, body, headers);

    /// <param name="caller">The application whose sidecar is asked.</param>
    public Task<HttpResponseMessage> SendThroughAsync(
        string caller, HttpMethod method, string app, string path, object? body = null, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, new Uri(daprOf(caller), $"/v1.0/invoke/{app}/method/{path}"));
        if (body is not null)
        {
            request.Content = JsonContent.Create(body);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return _http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<JsonNode> GetAsync(string app, string path)
    {
        using var answer = await PatientlyAsync(() => SendAsync(HttpMethod.Get, app, path));
        return await ReadAsync(answer, HttpStatusCode.OK);
    }

    private static Task<HttpResponseMessage> PatientlyAsync(Func<Task<HttpResponseMessage>> send) => Patience.SendAsync(send, TestContext.Current.CancellationToken);

    /// <summary>A stream of server-sent events, line by line as they come through the caller's sidecar.</summary>
    public async IAsyncEnumerable<string> LinesAsync(
        string caller, string app, string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var address = new Uri(daprOf(caller), $"/v1.0/invoke/{app}/method/{path}");
        using var answer = await _http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(cancellationToken));
        while (await lines.ReadLineAsync(cancellationToken) is { } line)
            yield return line;
    }

    public static async Task<JsonNode> ReadAsync(HttpResponseMessage answer, params HttpStatusCode[] expected)
    {
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(expected.Contains(answer.StatusCode), $"{answer.RequestMessage?.RequestUri} answered {(int)answer.StatusCode}: {text}");
        return JsonNode.Parse(text)!;
    }

    public async Task<bool> IsReadyAsync()
    {
        foreach (var app in Services)
        {
            try
            {
                using var answer = await SendAsync(HttpMethod.Get, app, "healthz/ready");
                if (!answer.IsSuccessStatusCode)
                {
                    return false;
                }
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A product of its own for each test, so that tests share a system without meeting.</summary>
    public async Task<string> StockAsync(int quantity, decimal price = 9.50m)
    {
        var sku = $"sku-{Guid.NewGuid():N}";
        using var put = await PatientlyAsync(() => SendAsync(
            HttpMethod.Put, "inventory", $"products/{sku}", new { name = "Tea", price = new { amount = price, currency = "EUR" } }));
        await ReadAsync(put, HttpStatusCode.Created, HttpStatusCode.OK);
        if (quantity > 0)
        {
            var key = Guid.NewGuid().ToString("N");
            using var receipt = await PatientlyAsync(() => SendAsync(
                HttpMethod.Post, "inventory", $"products/{sku}/receipts", new { quantity }, ("Idempotency-Key", key)));
            await ReadAsync(receipt, HttpStatusCode.OK);
        }

        return sku;
    }

    public Task<HttpResponseMessage> PlaceAsync(
        string sku, int quantity, string paymentMethod = "pm_card_ok", string customer = "c-1", params (string, string)[] headers) =>
        SendAsync(
            HttpMethod.Post, "ordering", "orders", new { customerId = customer, paymentMethod, lines = new[] { new { sku, quantity } } }, headers);

    /// <summary>Places an order that must be accepted; its id.</summary>
    public async Task<string> OrderAsync(
        string sku, int quantity, string paymentMethod = "pm_card_ok", string customer = "c-1", string? idempotencyKey = null)
    {
        var key = ("Idempotency-Key", idempotencyKey ?? Guid.NewGuid().ToString("N"));
        using var answer = await PatientlyAsync(() => PlaceAsync(sku, quantity, paymentMethod, customer, key));
        return (await ReadAsync(answer, HttpStatusCode.Created, HttpStatusCode.OK))["orderId"]!.GetValue<string>();
    }

    public Task<JsonNode> OrderAsync(string id) => GetAsync("ordering", $"orders/{id}");

    public static bool IsFinal(JsonNode order) => Status(order) is "shipped" or "cancelled";

    public static string Status(JsonNode order) => order["status"]!.GetValue<string>();

    public Task<JsonNode> FinalAsync(string id) => Until.Async(() => OrderAsync(id), IsFinal, $"order {id} to be shipped or cancelled");

    public Task<JsonNode> ProductAsync(string sku) => GetAsync("inventory", $"products/{sku}");

    /// <summary>Every charge and refund that the provider ever made.</summary>
    public async Task<IReadOnlyList<JsonNode>> LedgerAsync()
    {
        var entries = new List<JsonNode>();
        for (var after = 0L; ;)
        {
            var page = JsonNode.Parse(await _http.GetStringAsync(
                new Uri(paymentProvider, $"ledger?limit=1000&after={after}"), TestContext.Current.CancellationToken))!;
            if (page["entries"]!.AsArray().Count == 0)
            {
                return entries;
            }

            entries.AddRange(page["entries"]!.AsArray().Select(entry => entry!));
            after = page["next"]!.GetValue<long>();
        }
    }

    /// <summary>What the provider answers to a charge of nobody's order, which the bank declines: no ledger shows it.</summary>
    public async Task<HttpStatusCode> DeclinedChargeAsync()
    {
        using var answer = await _http.PostAsJsonAsync(
            new Uri(paymentProvider, "charges"), new { amount = 1m, currency = "EUR", paymentMethod = "pm_card_declined", reference = "nobody" }, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }

    public void Dispose() => _http.Dispose();
}
