using System.Net;
using System.Text;
using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests.PlacingOrders;

public class PlaceOrderTests(RunningOrdering ordering)
{
    [Fact]
    public async Task A_placed_order_is_answered_with_its_place_its_version_and_the_list_prices()
    {
        using var answer = await ordering.PostAsync("/orders", new
        {
            customerId = "c-42",
            paymentMethod = "pm_card_ok",
            lines = new[] { new { sku = "tea-001", quantity = 2 }, new { sku = "tea-002", quantity = 1 } },
        });

        var order = await answer.JsonAsync();
        var orderId = order.GetProperty("orderId").GetString();
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        Assert.Equal($"/orders/{orderId}", answer.Headers.Location!.ToString());
        Assert.Equal("\"1\"", answer.Headers.ETag!.Tag);
        Assert.Equal("c-42", order.GetProperty("customerId").GetString());
        Assert.Equal("created", order.GetProperty("status").GetString());
        Assert.Equal(1, order.GetProperty("version").GetInt64());
        Assert.Equal("""{"amount":28.50,"currency":"EUR"}""", order.GetProperty("total").GetRawText());
        Assert.Equal(
            """{"sku":"tea-001","name":"Tea","quantity":2,"unitPrice":{"amount":9.50,"currency":"EUR"}}""", order.GetProperty("lines")[0].GetRawText());
        Assert.Equal(JsonValueKind.Null, order.GetProperty("cancellation").ValueKind);
        Assert.Equal(JsonValueKind.Null, order.GetProperty("shipment").ValueKind);
        Assert.Equal(order.GetProperty("createdAt").GetDateTimeOffset(), order.GetProperty("updatedAt").GetDateTimeOffset());
    }

    [Fact]
    public async Task A_placed_order_is_published_once()
    {
        var orderId = await ordering.PlaceAsync();

        Assert.Equal(["OrderCreated"], await ordering.Published.OfOrderAsync(orderId, types => types.Count > 0));
    }

    [Fact]
    public async Task Lines_of_one_SKU_become_one_line()
    {
        using var answer = await ordering.PostTextAsync(
            "/orders",
            """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":2},{"sku":"tea-2","quantity":1},{"sku":"tea-1","quantity":3}]}""");

        var lines = (await answer.JsonAsync()).GetProperty("lines");
        Assert.Equal(["tea-1:5", "tea-2:1"], lines.EnumerateArray().Select(line => $"{line.GetProperty("sku")}:{line.GetProperty("quantity")}"));
    }

    [Fact]
    public async Task Prices_sent_by_the_client_do_not_count()
    {
        using var answer = await ordering.PostTextAsync(
            "/orders",
            """{"customerId":"c","paymentMethod":"p","total":{"amount":0.01,"currency":"EUR"},"lines":[{"sku":"tea-1","quantity":1,"unitPrice":{"amount":0.01,"currency":"EUR"}}]}""");

        Assert.Equal(9.50m, (await answer.JsonAsync()).GetProperty("total").GetProperty("amount").GetDecimal());
    }

    [Fact]
    public async Task A_price_that_Inventory_announces_is_the_price_of_the_next_order()
    {
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(
            "products", "inventory", "product-tea-new", 7, new ProductChanged("tea-new", "Finer tea", new Money(12.00m, "EUR"))));
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(
            "products", "inventory", "product-tea-new", 6, new ProductChanged("tea-new", "Late news", new Money(1.00m, "EUR"))));

        using var answer = await ordering.PostTextAsync(
            "/orders", """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-new","quantity":1}]}""");

        var line = (await answer.JsonAsync()).GetProperty("lines")[0];
        Assert.Equal("Finer tea", line.GetProperty("name").GetString());
        Assert.Equal(12.00m, line.GetProperty("unitPrice").GetProperty("amount").GetDecimal());
    }

    public static TheoryData<string, string> BadBodies() => new()
    {
        { """{"paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1}]}""", "customerId" },
        { """{"customerId":null,"paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1}]}""", "customerId" },
        { """{"customerId":"","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1}]}""", "customerId" },
        { """{"customerId":"a b","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1}]}""", "customerId" },
        { $$"""{"customerId":"{{new string('c', 65)}}","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1}]}""", "customerId" },
        { """{"customerId":42,"paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1}]}""", "customerId" },
        { """{"customerId":"c","lines":[{"sku":"tea-1","quantity":1}]}""", "paymentMethod" },
        { """{"customerId":"c","paymentMethod":"4111 1111","lines":[{"sku":"tea-1","quantity":1}]}""", "paymentMethod" },
        { $$"""{"customerId":"c","paymentMethod":"{{new string('p', 65)}}","lines":[{"sku":"tea-1","quantity":1}]}""", "paymentMethod" },
        { """{"customerId":"c","paymentMethod":"p"}""", "lines" },
        { """{"customerId":"c","paymentMethod":"p","lines":null}""", "lines" },
        { """{"customerId":"c","paymentMethod":"p","lines":[]}""", "lines" },
        { """{"customerId":"c","paymentMethod":"p","lines":{}}""", "lines" },
        { $$"""{"customerId":"c","paymentMethod":"p","lines":[{{Lines(101)}}]}""", "lines" },
        { $$"""{"customerId":"c","paymentMethod":"p","lines":[{{Lines(10_000)}}]}""", "lines" },
        { """{"customerId":"c","paymentMethod":"p","lines":[null]}""", "lines[0].sku" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"quantity":1}]}""", "lines[0].sku" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea/1","quantity":1}]}""", "lines[0].sku" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1"}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":0}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":-1}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1000001}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1.5}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":"2"}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":99999999999}]}""", "lines[0].quantity" },
        { """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1},{"sku":"tea-1","quantity":1000000}]}""", "lines[1].quantity" },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task A_bad_field_is_refused_by_name(string body, string field)
    {
        using var answer = await ordering.PostTextAsync("/orders", body);

        await AssertInvalidAsync(answer, field);
    }

    [Fact]
    public async Task Every_bad_field_is_named_at_once()
    {
        using var answer = await ordering.PostTextAsync("/orders", """{"customerId":"","lines":[{"sku":"","quantity":0}]}""");

        var errors = (await answer.JsonAsync()).GetProperty("errors").EnumerateObject().Select(error => error.Name);
        Assert.Equal(["customerId", "lines[0].quantity", "lines[0].sku", "paymentMethod"], errors.Order());
    }

    [Theory]
    [InlineData("{\"customerId\":")]
    [InlineData("not JSON")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("")]
    public async Task What_is_no_JSON_object_is_refused(string body)
    {
        using var answer = await ordering.PostTextAsync("/orders", body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("urn:daprorders:invalid-request", (await answer.JsonAsync()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task Another_content_type_is_refused()
    {
        using var answer = await ordering.Client.PostAsync(
            new Uri("/orders", UriKind.Relative), new StringContent("customerId=c", Encoding.UTF8, "text/plain"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task A_body_above_one_MiB_is_refused()
    {
        // Asked first, so that the answer does not meet a body that is still being written.
        using var answer = await ordering.PostTextAsync(
            "/orders", $$"""{"customerId":"{{new string('c', 1024 * 1024)}}"}""", ("Expect", "100-continue"));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task An_unknown_SKU_is_refused_where_it_was_named_first()
    {
        using var answer = await ordering.PostTextAsync(
            "/orders",
            """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1},{"sku":"nothing","quantity":1},{"sku":"nothing","quantity":1}]}""");

        var problem = await answer.JsonAsync();
        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        Assert.Equal("urn:daprorders:unknown-sku", problem.GetProperty("type").GetString());
        Assert.Equal(["lines[1].sku"], problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Fact]
    public async Task Two_currencies_in_one_order_are_refused()
    {
        using var answer = await ordering.PostTextAsync(
            "/orders", """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":1},{"sku":"usd-1","quantity":1}]}""");

        var problem = await answer.JsonAsync();
        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        Assert.Equal("urn:daprorders:mixed-currencies", problem.GetProperty("type").GetString());
        Assert.True(problem.GetProperty("errors").TryGetProperty("lines[1].sku", out _));
    }

    [Theory]
    [InlineData(500_000, 2, HttpStatusCode.Created)]
    [InlineData(500_000.01, 2, HttpStatusCode.UnprocessableEntity)]
    [InlineData(1_000_000, 1_000_000, HttpStatusCode.UnprocessableEntity)]
    public async Task An_order_costs_no_more_than_the_provider_takes(double price, int quantity, HttpStatusCode expected)
    {
        var sku = $"tea-{Guid.NewGuid():N}";
        await ordering.DeliverAsync("products", "inventory", $"product-{sku}", 2, new ProductChanged(sku, "Tea", new Money((decimal)price, "EUR")));

        using var answer = await ordering.PostAsync("/orders", new { customerId = "c", paymentMethod = "p", lines = new[] { new { sku, quantity } } });

        Assert.Equal(expected, answer.StatusCode);
        if (expected == HttpStatusCode.UnprocessableEntity)
        {
            var problem = await answer.JsonAsync();
            Assert.Equal("urn:daprorders:total-too-high", problem.GetProperty("type").GetString());
            Assert.True(problem.GetProperty("errors").TryGetProperty("lines", out _));
        }
    }

    [Fact]
    public async Task A_price_that_nobody_can_tell_now_is_no_reason_to_call_the_SKU_unknown()
    {
        using var answer = await ordering.PostTextAsync(
            "/orders", """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"broken-1","quantity":1}]}""");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.Equal("urn:daprorders:inventory-unavailable", (await answer.JsonAsync()).GetProperty("type").GetString());
    }

    private static string Lines(int count) => string.Join(',', Enumerable.Range(0, count).Select(i => $$"""{"sku":"tea-{{i}}","quantity":1}"""));

    private static async Task AssertInvalidAsync(HttpResponseMessage answer, string field)
    {
        var problem = await answer.JsonAsync();
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.Equal("urn:daprorders:invalid-request", problem.GetProperty("type").GetString());
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }
}
