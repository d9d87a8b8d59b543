using System.Net;
using DaprOrders.Contracts;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests.PlacingOrders;

public class IdempotencyTests(RunningOrdering ordering)
{
    [Fact]
    public async Task A_repeated_request_answers_the_same_order_and_says_so()
    {
        var key = Guid.NewGuid().ToString();
        using var first = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, key));
        using var second = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, key));

        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.False(first.Headers.Contains(IdempotencyKey.ReplayedHeader));
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal(["true"], second.Headers.GetValues(IdempotencyKey.ReplayedHeader));
        Assert.Equal("\"1\"", second.Headers.ETag!.Tag);
        Assert.Equal((await first.JsonAsync()).GetRawText(), (await second.JsonAsync()).GetRawText());
    }

    [Fact]
    public async Task The_same_request_written_differently_is_the_same_request()
    {
        var key = Guid.NewGuid().ToString();
        using var first = await ordering.PostTextAsync(
            "/orders", """{"customerId":"c","paymentMethod":"p","lines":[{"sku":"tea-1","quantity":2}]}""", (IdempotencyKey.Header, key));
        using var second = await ordering.PostTextAsync(
            "/orders", """{ "lines": [{"quantity":1, "sku":"tea-1"}, {"sku":"tea-1","quantity":1}], "paymentMethod":"p", "customerId":"c" }""", (IdempotencyKey.Header, key));

        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
    }

    [Fact]
    public async Task A_key_with_another_body_is_refused()
    {
        var key = Guid.NewGuid().ToString();
        using var first = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, key));
        using var second = await ordering.PostTextAsync(
            "/orders", """{"customerId":"c-42","paymentMethod":"pm_card_ok","lines":[{"sku":"tea-001","quantity":3}]}""", (IdempotencyKey.Header, key));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, second.StatusCode);
        Assert.Equal("urn:daprorders:idempotency-key-reused", (await second.JsonAsync()).GetProperty("type").GetString());
    }

    [Theory]
    [InlineData(9.50, "USD")]
    [InlineData(1_000_000, "EUR")]
    public async Task A_repeated_request_answers_the_order_whatever_its_goods_cost_by_now(double amount, string currency)
    {
        var key = Guid.NewGuid().ToString();
        var sku = $"tea-{Guid.NewGuid():N}";
        var body = new { customerId = "c-42", paymentMethod = "pm_card_ok", lines = new[] { new { sku, quantity = 2 }, new { sku = "tea-001", quantity = 1 } } };
        using var first = await ordering.PostAsync("/orders", body, (IdempotencyKey.Header, key));
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(
            "products", "inventory", $"product-{sku}", 2, new ProductChanged(sku, "Tea", new Money((decimal)amount, currency))));

        using var second = await ordering.PostAsync("/orders", body, (IdempotencyKey.Header, key));
        using var another = await ordering.PostAsync("/orders", body, (IdempotencyKey.Header, Guid.NewGuid().ToString()));

        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal(["true"], second.Headers.GetValues(IdempotencyKey.ReplayedHeader));
        Assert.Equal((await first.JsonAsync()).GetRawText(), (await second.JsonAsync()).GetRawText());
        Assert.Equal(HttpStatusCode.UnprocessableEntity, another.StatusCode);
    }

    [Fact]
    public async Task A_key_with_another_body_is_refused_as_such_even_when_nobody_sells_what_it_asks_for()
    {
        var key = Guid.NewGuid().ToString();
        using var first = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, key));
        using var second = await ordering.PostTextAsync(
            "/orders", """{"customerId":"c-42","paymentMethod":"pm_card_ok","lines":[{"sku":"nothing","quantity":1}]}""", (IdempotencyKey.Header, key));

        Assert.Equal("urn:daprorders:idempotency-key-reused", (await second.JsonAsync()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task Customers_do_not_meet_in_a_key()
    {
        var key = Guid.NewGuid().ToString();
        using var first = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder("c-1"), (IdempotencyKey.Header, key));
        using var second = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder("c-2"), (IdempotencyKey.Header, key));

        Assert.Equal([HttpStatusCode.Created, HttpStatusCode.Created], [first.StatusCode, second.StatusCode]);
    }

    [Fact]
    public async Task Of_many_at_once_one_places_the_order()
    {
        var key = Guid.NewGuid().ToString();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ =>
            ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, key))));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.Created);
        Assert.Equal(19, answers.Count(answer => answer.StatusCode == HttpStatusCode.OK));
        var ids = await Task.WhenAll(answers.Select(async answer => (await answer.JsonAsync()).GetProperty("orderId").GetString()));
        Assert.Single(ids.Distinct());
    }

    [Fact]
    public async Task Without_a_key_every_request_is_an_order_of_its_own() =>
        Assert.NotEqual(await ordering.PlaceAsync(), await ordering.PlaceAsync());

    [Fact]
    public async Task A_key_of_other_characters_is_refused()
    {
        using var answer = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, "a b"));

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(255, true)]
    [InlineData(0, false)]
    [InlineData(256, false)]
    public void A_key_has_1_to_255_characters(int length, bool valid) => Assert.Equal(valid, IdempotencyKey.IsValid(new string('k', length)));

    [Theory]
    [InlineData("!", true)]
    [InlineData("~", true)]
    [InlineData(" ", false)]
    [InlineData("ä", false)]
    [InlineData("\u007f", false)]
    [InlineData("\n", false)]
    public void A_key_is_visible_ASCII(string key, bool valid) => Assert.Equal(valid, IdempotencyKey.IsValid(key));

    [Fact]
    public async Task A_key_that_is_too_long_is_refused_by_name()
    {
        using var answer = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), (IdempotencyKey.Header, new string('k', 256)));

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty(IdempotencyKey.Header, out _));
    }
}
