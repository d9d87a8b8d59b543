using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;

[assembly: AssemblyFixture(typeof(DaprOrders.EndToEnd.Tests.OrdersSystem))]

namespace DaprOrders.EndToEnd.Tests;

public sealed class OrderJourneyTests(OrdersSystem system)
{
    private readonly Shop _shop = system.Shop;

    [Fact]
    public async Task Given_stock_and_a_good_card_then_the_order_is_shipped_and_the_stock_has_left()
    {
        var sku = await _shop.StockAsync(10);

        var order = await _shop.FinalAsync(await _shop.OrderAsync(sku, 2));

        Assert.Equal("shipped", Shop.Status(order));
        Assert.Equal(19.00m, order["total"]!["amount"]!.GetValue<decimal>());
        Assert.NotNull(order["shipment"]!["trackingNumber"]);
        var product = await Until.Async(() => _shop.ProductAsync(sku), p => p["onHand"]!.GetValue<int>() == 8, "the goods to leave the stock");
        Assert.Equal(0, product["reserved"]!.GetValue<int>());
    }

    [Fact]
    public async Task Given_a_buyer_who_watches_then_every_step_is_seen_through_the_sidecars_while_it_happens()
    {
        var sku = await _shop.StockAsync(10);
        await using var all = _shop.LinesAsync("shipping", "reporting", "updates", TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await all.MoveNextAsync());
        // The answer has begun, although nothing has happened.
        Assert.Equal(": ok", all.Current);

        var id = await _shop.OrderAsync(sku, 2);
        var seen = new List<string>();
        await foreach (var line in _shop.LinesAsync("ordering", "reporting", $"orders/{id}/updates", TestContext.Current.CancellationToken))
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                seen.Add(JsonNode.Parse(line[6..])!["status"]!.GetValue<string>());
        }

        // It ended by itself. An order that is quick passes some before Reporting has looked, and the first is how it is then.
        Assert.Equal("shipped", seen[^1]);
        Assert.Equal(seen, new[] { "created", "stockReserved", "paid", "shipped" }[^seen.Count..]);
        do
            Assert.True(await all.MoveNextAsync());
        while (!(all.Current.Contains(id, StringComparison.Ordinal) && all.Current.Contains("\"shipped\"", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Given_a_declined_card_then_the_order_is_cancelled_and_its_stock_is_free_again()
    {
        var sku = await _shop.StockAsync(5);

        var order = await _shop.FinalAsync(await _shop.OrderAsync(sku, 5, "pm_card_declined"));

        Assert.Equal("cancelled", Shop.Status(order));
        Assert.Equal("paymentDeclined", order["cancellation"]!["reason"]!.GetValue<string>());
        await Until.Async(() => _shop.ProductAsync(sku), p => p["available"]!.GetValue<int>() == 5, "the reserved stock to be released");
    }

    [Fact]
    public async Task Given_too_little_stock_then_the_order_is_cancelled_and_nobody_is_charged()
    {
        var sku = await _shop.StockAsync(1);

        var id = await _shop.OrderAsync(sku, 2);
        var order = await _shop.FinalAsync(id);

        Assert.Equal("outOfStock", order["cancellation"]!["reason"]!.GetValue<string>());
        Assert.Equal(1, (await _shop.ProductAsync(sku))["available"]!.GetValue<int>());
        Assert.DoesNotContain(await _shop.LedgerAsync(), entry => entry["reference"]!.GetValue<string>() == id);
    }

    [Theory]
    [InlineData("pm_flaky")]
    [InlineData("pm_slow")]
    [InlineData("pm_timeout")]
    public async Task Given_a_payment_provider_that_stumbles_then_the_order_is_shipped_and_charged_once(string paymentMethod)
    {
        var sku = await _shop.StockAsync(3);

        var id = await _shop.OrderAsync(sku, 1, paymentMethod);

        Assert.Equal("shipped", Shop.Status(await _shop.FinalAsync(id)));
        Assert.Single(await _shop.LedgerAsync(), entry => entry["reference"]!.GetValue<string>() == id);
    }

    [Fact]
    public async Task Given_a_cancellation_while_the_charge_is_on_its_way_then_nothing_is_kept()
    {
        var sku = await _shop.StockAsync(3);
        var id = await _shop.OrderAsync(sku, 1, "pm_slow");

        using var answer = await _shop.SendAsync(HttpMethod.Post, "ordering", $"orders/{id}/cancellation", new { reason = "changed my mind" });

        Assert.Equal("cancelled", Shop.Status(await Shop.ReadAsync(answer, HttpStatusCode.OK)));
        await system.AuditAsync([id], new Dictionary<string, int> { [sku] = 3 });
    }

    [Fact]
    public async Task Given_more_buyers_than_goods_then_exactly_what_is_there_is_sold()
    {
        var sku = await _shop.StockAsync(10);

        var orders = await Task.WhenAll(Enumerable.Range(0, 25).Select(_ => _shop.OrderAsync(sku, 1)));
        await system.AuditAsync(orders, new Dictionary<string, int> { [sku] = 10 });

        var shipped = 0;
        foreach (var id in orders)
        {
            shipped += Shop.Status(await _shop.OrderAsync(id)) == "shipped" ? 1 : 0;
        }

        Assert.Equal(10, shipped);
    }

    [Fact]
    public async Task Given_the_same_idempotency_key_then_there_is_one_order()
    {
        var sku = await _shop.StockAsync(10);
        var key = ("Idempotency-Key", Guid.NewGuid().ToString("N"));

        using var first = await _shop.PlaceAsync(sku, 1, headers: key);
        using var second = await _shop.PlaceAsync(sku, 1, headers: key);
        using var other = await _shop.PlaceAsync(sku, 2, headers: key);

        var placed = await Shop.ReadAsync(first, HttpStatusCode.Created);
        var replayed = await Shop.ReadAsync(second, HttpStatusCode.OK);
        Assert.Equal(placed["orderId"]!.GetValue<string>(), replayed["orderId"]!.GetValue<string>());
        Assert.Equal("true", Assert.Single(second.Headers.GetValues("Idempotency-Replayed")));
        Assert.Equal("urn:daprorders:idempotency-key-reused", (await Shop.ReadAsync(other, HttpStatusCode.UnprocessableEntity))["type"]!.GetValue<string>());
    }

    [Fact]
    public async Task The_trace_that_placed_an_order_runs_through_all_of_its_events_and_its_payment()
    {
        var sku = await _shop.StockAsync(1);
        var trace = ActivityTraceId.CreateRandom().ToHexString();

        using var answer = await _shop.PlaceAsync(sku, 1, headers: ("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01"));
        var id = (await Shop.ReadAsync(answer, HttpStatusCode.Created))["orderId"]!.GetValue<string>();
        await _shop.FinalAsync(id);

        var events = (await _shop.GetAsync("ordering", $"orders/{id}/events")).AsArray();
        Assert.All(events, e => Assert.Equal(trace, e!["correlationId"]!.GetValue<string>()));
        using var log = await _shop.SendThroughAsync("reporting", HttpMethod.Get, "payments", $"event-log/streams/payment-{id}");
        var payment = (await Shop.ReadAsync(log, HttpStatusCode.OK)).AsArray();
        Assert.All(payment, e => Assert.Equal(trace, e!["correlationId"]!.GetValue<string>()));
    }

    [Fact]
    public async Task An_orders_past_can_be_read_version_by_version()
    {
        var sku = await _shop.StockAsync(1);
        var id = await _shop.OrderAsync(sku, 1);
        await _shop.FinalAsync(id);

        var statuses = new List<string>();
        for (var version = 1; version <= 4; version++)
        {
            statuses.Add(Shop.Status(await _shop.GetAsync("ordering", $"orders/{id}?version={version}")));
        }

        Assert.Equal(["created", "stockReserved", "paid", "shipped"], statuses);
    }

    [Fact]
    public async Task A_customers_orders_are_listed_with_their_status()
    {
        var sku = await _shop.StockAsync(10);
        var customer = $"c-{Guid.NewGuid():N}";
        var shipped = await _shop.OrderAsync(sku, 1, customer: customer);
        var declined = await _shop.OrderAsync(sku, 1, "pm_card_declined", customer);

        await system.AuditAsync([shipped, declined], new Dictionary<string, int> { [sku] = 10 });
    }

    [Fact]
    public async Task The_audit_command_tells_what_holds_of_a_running_system_by_its_exit_code()
    {
        await _shop.OrderAsync(await _shop.StockAsync(3), 1);

        var (exitCode, output) = await system.RunAsync("audit", "--wait", "60");

        Assert.True(exitCode == 0, output);
        Assert.Contains("Charged once, and refunded once if cancelled", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ordering", "orders/{orderId}")]
    [InlineData("inventory", "products/{sku}")]
    [InlineData("payments", "payments/{orderId}")]
    [InlineData("shipping", "shipments/{orderId}")]
    [InlineData("reporting", "summary")]
    public async Task Every_service_describes_its_api(string app, string path)
    {
        var document = await _shop.GetAsync(app, "openapi/v1.json");

        Assert.Contains($"/{path}", document["paths"]!.AsObject().Select(p => p.Key));
    }

    [Theory]
    [InlineData("""{"customerId":"c-1","paymentMethod":"pm_card_ok","lines":[]}""", 400)]
    [InlineData("""{"customerId":"c-1","paymentMethod":"pm_card_ok","lines":[{"sku":"none","quantity":1}]}""", 422)]
    [InlineData("""{"customerId":""", 400)]
    public async Task What_is_no_order_is_refused_with_problem_details(string body, int status)
    {
        using var answer = await _shop.SendAsync(HttpMethod.Post, "ordering", "orders", JsonNodeOrText(body));

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
    }

    // Text that is no JSON goes out as a JSON string, which is no order either.
    private static object JsonNodeOrText(string body)
    {
        try
        {
            return JsonNode.Parse(body)!;
        }
        catch (System.Text.Json.JsonException)
        {
            return body;
        }
    }
}
