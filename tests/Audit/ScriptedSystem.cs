using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Audit.Tests;

/// <summary>
/// The APIs of a system at rest, of which every invariant holds: one order was shipped, one was paid and cancelled, one was out of stock. A
/// test spoils one answer.
/// </summary>
internal sealed class ScriptedSystem : IAsyncDisposable
{
    public const string Shipped = "o-shipped";
    public const string Refunded = "o-refunded";
    public const string Short = "o-short";

    private const string Day = "2026-11-24";

    private readonly WebApplication _app;
    private readonly Dictionary<string, string> _answers = [];
    private readonly Dictionary<string, List<JsonObject>> _logs = new() { ["ordering"] = [], ["inventory"] = [], ["payments"] = [], ["shipping"] = [] };
    private int _seconds;

    /// <summary>What was asked, and who said to be asking.</summary>
    public ConcurrentQueue<(string Path, string Who)> Callers { get; } = new();

    public ScriptedSystem()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapFallback(AnswerAsync);

        Happened("inventory", "stock-tea", "GoodsReceived", """{"receiptId":"r-1","quantity":10}""");
        Order(Shipped, "OrderCreated", "OrderStockReserved", "OrderPaid", "OrderShipped");
        Order(Refunded, "OrderCreated", "OrderStockReserved", "OrderPaid", "OrderCancelled");
        Order(Short, "OrderCreated", "OrderCancelled");
        Happened("inventory", $"reservation-{Shipped}", "StockReserved", "{}");
        Happened("inventory", $"reservation-{Shipped}", "ReservationFulfilled", "{}");
        Happened("inventory", $"reservation-{Refunded}", "StockReserved", "{}");
        Happened("inventory", $"reservation-{Refunded}", "ReservationReleased", "{}");
        Happened("inventory", $"reservation-{Short}", "StockRejected", "{}");
        Happened("payments", $"payment-{Shipped}", "PaymentAuthorized", "{}");
        Happened("payments", $"payment-{Refunded}", "PaymentRefunded", "{}");
        Happened("shipping", $"shipment-{Shipped}", "ShipmentDispatched", "{}");

        foreach (var service in _logs.Keys)
            _answers[$"{service}/event-log"] = $$"""{"lanes":[{"name":"a","settled":7}]}""";
        foreach (var service in SystemUnderAudit.Services)
            _answers[$"{service}/dead-letters?limit=100"] = """{"deadLetters":[],"cursor":null}""";
        var all = new[] { Short, Refunded, Shipped };
        foreach (var id in all)
        {
            _answers[$"ordering/orders/{id}"] = View(id).ToJsonString();
            _answers[$"ordering/orders/{id}/events"] = new JsonArray([.. EventsOf(id).Select(happened => happened.DeepClone())]).ToJsonString();
        }

        var list = new JsonObject { ["orders"] = new JsonArray([.. all.Select(Listed)]), ["cursor"] = null }.ToJsonString();
        _answers["reporting/orders?limit=200"] = list;
        _answers["reporting/customers/c-1/orders?limit=200"] = list;
        _answers["reporting/summary"] = """{"orders":3,"byStatus":{"created":0,"stockReserved":0,"paid":0,"shipped":1,"cancelled":2},"sold":1,"revenue":[{"amount":19.00,"currency":"EUR"}]}""";
        _answers[$"reporting/sales/daily?from={Day}&to=2027-11-24"] = $$"""{"days":[{"date":"{{Day}}","orders":1,"revenue":[{"amount":19.00,"currency":"EUR"}]}]}""";
        _answers["reporting/sales/products?limit=1000"] = """{"products":[{"sku":"tea","name":"Tea","units":2,"revenue":[{"amount":19.00,"currency":"EUR"}]}]}""";
        _answers["inventory/products?limit=100"] = """{"products":[{"sku":"tea","onHand":8,"reserved":0}],"next":null}""";
        _answers["provider/ledger?limit=1000&after=0"] = $$"""
            {"next":3,"entries":[
            {"id":"ch_1","kind":"charge","chargeId":"ch_1","amount":19.00,"currency":"EUR","reference":"{{Shipped}}"},
            {"id":"ch_2","kind":"charge","chargeId":"ch_2","amount":19.00,"currency":"EUR","reference":"{{Refunded}}"},
            {"id":"re_3","kind":"refund","chargeId":"ch_2","amount":19.00,"currency":"EUR","reference":"{{Refunded}}"}]}
            """;
        _answers["provider/ledger?limit=1000&after=3"] = """{"next":3,"entries":[]}""";
    }

    /// <summary>Runs before each answer, by its path.</summary>
    public Action<string>? Asked { get; set; }

    public static async Task<ScriptedSystem> StartAsync()
    {
        var system = new ScriptedSystem();
        await system._app.StartAsync();
        return system;
    }

    public Uri Root => new(_app.Urls.Single());

    public SystemUnderAudit Addresses() => new(service => new Uri(Root, $"{service}/"), new Uri(Root, "provider/"));

    /// <summary>Changes the text of an answer, which must have the part that is changed.</summary>
    public void Spoil(string path, string part, string by)
    {
        Assert.Contains(part, _answers[path], StringComparison.Ordinal);
        _answers[path] = _answers[path].Replace(part, by, StringComparison.Ordinal);
    }

    /// <summary>Changes the text of a logged event.</summary>
    public void SpoilEvent(string service, string stream, int version, string part, string by)
    {
        var at = _logs[service].FindIndex(one => $"{one["stream"]}" == stream && one["version"]!.GetValue<int>() == version);
        Assert.Contains(part, _logs[service][at].ToJsonString(), StringComparison.Ordinal);
        _logs[service][at] = (JsonObject)JsonNode.Parse(_logs[service][at].ToJsonString().Replace(part, by, StringComparison.Ordinal))!;
    }

    public void Forget(string service, string stream, int version) =>
        Assert.Equal(1, _logs[service].RemoveAll(one => $"{one["stream"]}" == stream && one["version"]!.GetValue<int>() == version));

    /// <summary>An event, and the same once more when it is there already.</summary>
    public void Happened(string service, string stream, string type, string data, int? version = null) => _logs[service].Add(new()
    {
        ["stream"] = stream,
        ["version"] = version ?? _logs[service].Count(one => $"{one["stream"]}" == stream) + 1,
        ["type"] = type,
        ["occurredAt"] = $"{Day}T10:00:{_seconds++ % 60:00}+00:00",
        ["data"] = JsonNode.Parse(data),
    });

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private void Order(string id, params string[] types)
    {
        foreach (var type in types)
        {
            Happened("ordering", $"order-{id}", type, type switch
            {
                "OrderCreated" => $$$"""{"orderId":"{{{id}}}","customerId":"c-1","total":{"amount":19.00,"currency":"EUR"},"lines":[{"sku":"tea","name":"Tea","quantity":2,"unitPrice":{"amount":9.50,"currency":"EUR"}}]}""",
                "OrderShipped" => """{"trackingNumber":"t-1"}""",
                "OrderCancelled" => """{"reason":"customer"}""",
                _ => "{}",
            });
        }
    }

    private IEnumerable<JsonObject> EventsOf(string id) => _logs["ordering"].Where(one => $"{one["stream"]}" == $"order-{id}");

    private JsonObject View(string id)
    {
        var events = EventsOf(id).ToList();
        return new()
        {
            ["orderId"] = id,
            ["customerId"] = "c-1",
            ["status"] = id == Shipped ? "shipped" : "cancelled",
            ["version"] = events.Count,
            ["total"] = events[0]["data"]!["total"]!.DeepClone(),
            ["lines"] = events[0]["data"]!["lines"]!.DeepClone(),
            ["cancellation"] = id == Shipped ? null : new JsonObject { ["reason"] = "customer" },
            ["shipment"] = id == Shipped ? new JsonObject { ["trackingNumber"] = "t-1" } : null,
            ["createdAt"] = events[0]["occurredAt"]!.DeepClone(),
        };
    }

    private JsonNode Listed(string id)
    {
        string[] statuses = id switch
        {
            Shipped => ["created", "stockReserved", "paid", "shipped"],
            Refunded => ["created", "stockReserved", "paid", "cancelled"],
            _ => ["created", "cancelled"],
        };
        var view = View(id);
        view["history"] = new JsonArray([.. statuses.Zip(EventsOf(id), (status, happened) => new JsonObject { ["status"] = status, ["at"] = happened["occurredAt"]!.DeepClone() })]);
        view["reservation"] = id switch { Shipped => "fulfilled", Refunded => "released", _ => "rejected" };
        view["payment"] = id switch { Shipped => "authorized", Refunded => "refunded", _ => null };
        return view;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = $"{context.Request.Path.Value![1..]}{context.Request.QueryString}";
        Asked?.Invoke(path);
        Callers.Enqueue((path, context.Request.Headers["x-who"].ToString()));
        var answer = path.Split('/') is [var service, "event-log", ['a', ..]]
            ? new JsonObject { ["events"] = new JsonArray([.. _logs[service].Select(happened => happened.DeepClone())]), ["next"] = 7 }.ToJsonString()
            : _answers.GetValueOrDefault(path);
        context.Response.StatusCode = answer is null ? 404 : 200;
        await context.Response.WriteAsync(answer ?? $"nobody said what {path} answers");
    }
}
