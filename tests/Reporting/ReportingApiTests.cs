using System.Net;
using DaprOrders.Contracts;
using DaprOrders.Tests;

namespace DaprOrders.Reporting.Tests;

public sealed class ReportingApiTests
{
    private static readonly Money Total = new(19.00m, "EUR");

    [Fact]
    public async Task An_order_is_listed_as_all_publishers_logs_tell_it()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total)));
        await api.DeliverAsync("orders", api.Journal.Commit("0", new PaymentDeclined("o1", "insufficient funds")));
        await api.DeliverAsync("orders", api.Journal.Commit("0", new OrderCancelled("o1", "paymentDeclined", "insufficient funds")));
        await api.DeliverAsync("orders", api.Journal.Commit("0", new ReservationReleased("o1", [])));

        var order = Assert.Single((await api.GetAsync("/customers/c-1/orders")).GetProperty("orders").EnumerateArray());

        Assert.Equal("o1", order.GetProperty("orderId").GetString());
        Assert.Equal("cancelled", order.GetProperty("status").GetString());
        Assert.Equal("paymentDeclined", order.GetProperty("cancellation").GetProperty("reason").GetString());
        Assert.Equal(("declined", "released"), (order.GetProperty("payment").GetString(), order.GetProperty("reservation").GetString()));
        Assert.Equal(19.00m, order.GetProperty("total").GetProperty("amount").GetDecimal());
        Assert.Equal(3, order.GetProperty("history").GetArrayLength());
        Assert.Equal(order.GetRawText(), Assert.Single((await api.GetAsync("/orders?status=cancelled")).GetProperty("orders").EnumerateArray()).GetRawText());
        Assert.Empty((await api.GetAsync("/orders?status=paid")).GetProperty("orders").EnumerateArray());
    }

    [Fact]
    public async Task The_lists_go_on_where_the_cursor_says()
    {
        await using var api = new ReportingApi();
        foreach (var order in new[] { "o1", "o2", "o3" })
            await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created(order)));

        var first = await api.GetAsync("/orders?limit=2");
        var second = await api.GetAsync($"/orders?limit=2&cursor={first.GetProperty("cursor").GetString()}");

        Assert.Equal(["o3", "o2"], first.GetProperty("orders").EnumerateArray().Select(order => order.GetProperty("orderId").GetString()));
        Assert.Equal(["o1"], second.GetProperty("orders").EnumerateArray().Select(order => order.GetProperty("orderId").GetString()));
        Assert.Null(second.GetProperty("cursor").GetString());
    }

    [Fact]
    public async Task The_summary_has_every_status_and_the_revenue()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total), new OrderPaid("o1", "ch")));
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o2")));

        var summary = await api.EventuallyAsync("/summary", summary => summary.GetProperty("orders").GetInt64() == 2);

        var byStatus = summary.GetProperty("byStatus").EnumerateObject().ToDictionary(status => status.Name, status => status.Value.GetInt64());
        Assert.Equal(new() { ["created"] = 1, ["stockReserved"] = 0, ["paid"] = 1, ["shipped"] = 0, ["cancelled"] = 0 }, byStatus);
        Assert.Equal(19.00m, Assert.Single(summary.GetProperty("revenue").EnumerateArray()).GetProperty("amount").GetDecimal());
        var days = await api.GetAsync("/sales/daily?from=2026-02-28&to=2026-03-01");
        Assert.Equal([("2026-02-28", 0), ("2026-03-01", 1)], days.GetProperty("days").EnumerateArray()
            .Select(day => (day.GetProperty("date").GetString()!, day.GetProperty("orders").GetInt32())));
        var product = Assert.Single((await api.GetAsync("/sales/products?limit=1")).GetProperty("products").EnumerateArray());
        Assert.Equal(("tea-001", 2), (product.GetProperty("sku").GetString(), product.GetProperty("units").GetInt32()));
    }

    [Theory]
    [InlineData("/orders?limit=0", "limit")]
    [InlineData("/orders?limit=201", "limit")]
    [InlineData("/orders?limit=ten", "limit")]
    [InlineData("/orders?status=lost", "status")]
    [InlineData("/orders?cursor=zzz", "cursor")]
    [InlineData("/orders?cursor=7.o1", "cursor")]
    [InlineData("/customers/c-1/orders?cursor=0.nosuch", "cursor")]
    [InlineData("/customers/c-1/orders?limit=-1", "limit")]
    [InlineData("/customers/c%201/orders", "customerId")]
    [InlineData("/customers/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/orders", "customerId")]
    [InlineData("/sales/daily?from=2026-03-02&to=2026-03-01", "from")]
    [InlineData("/sales/daily?from=2025-01-01&to=2026-12-31", "to")]
    [InlineData("/sales/daily?from=yesterday", "from")]
    [InlineData("/sales/daily?to=2026-02-30", "to")]
    [InlineData("/sales/products?limit=1001", "limit")]
    public async Task A_bad_query_is_refused_with_the_field_named(string path, string field)
    {
        await using var api = new ReportingApi();

        var problem = await api.GetAsync(path, HttpStatusCode.BadRequest);

        Assert.Equal("urn:daprorders:invalid-request", problem.GetProperty("type").GetString());
        Assert.Equal([field], problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Theory]
    [InlineData("/customers/nobody/orders")]
    [InlineData("/orders")]
    public async Task A_list_without_orders_is_empty(string path)
    {
        await using var api = new ReportingApi();

        var list = await api.GetAsync(path);

        Assert.Equal(0, list.GetProperty("orders").GetArrayLength());
        Assert.Null(list.GetProperty("cursor").GetString());
    }

    [Fact]
    public async Task Days_without_dates_are_the_last_thirty()
    {
        await using var api = new ReportingApi();

        Assert.Equal(30, (await api.GetAsync("/sales/daily")).GetProperty("days").GetArrayLength());
    }

    [Fact]
    public async Task A_store_that_is_away_is_503()
    {
        await using var api = new ReportingApi();
        api.State.IsDown = true;

        var problem = await api.GetAsync("/sales/products", HttpStatusCode.ServiceUnavailable);

        Assert.Equal("urn:daprorders:store-unavailable", problem.GetProperty("type").GetString());
    }

    [Fact]
    public async Task The_OpenAPI_document_describes_every_answer_of_every_operation()
    {
        await using var api = new ReportingApi();

        OpenApiDocument.Describes(
            await api.GetAsync("/openapi/v1.json"),
            [
                "GET /orders: 200 400 503",
                "GET /customers/{customerId}/orders: 200 400 503",
                "GET /updates: 200 400 503",
                "GET /orders/{orderId}/updates: 200 204 400 404 503",
                "GET /summary: 200 503",
                "GET /sales/daily: 200 400 503",
                "GET /sales/products: 200 400 503",
                "GET /projections: 200 503",
                "POST /projections/rebuild: 202 503",
                .. OpenApiDocument.OfEveryService,
            ]);
    }
}
