using System.Net;
using DaprOrders.Contracts;
using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests.CancellingOrders;

public class CancelOrderTests(RunningOrdering ordering)
{
    [Fact]
    public async Task An_order_is_cancelled_with_the_customers_words()
    {
        var orderId = await ordering.PlaceAsync();

        using var answer = await CancelAsync(orderId, "changed my mind");

        var order = await answer.JsonAsync();
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("\"2\"", answer.Headers.ETag!.Tag);
        Assert.Equal("cancelled", order.GetProperty("status").GetString());
        var cancellation = order.GetProperty("cancellation");
        Assert.Equal("customer", cancellation.GetProperty("reason").GetString());
        Assert.Equal("changed my mind", cancellation.GetProperty("detail").GetString());
        Assert.Equal(order.GetProperty("updatedAt").GetDateTimeOffset(), cancellation.GetProperty("at").GetDateTimeOffset());
        Assert.Equal(["OrderCreated", "OrderCancelled"], await ordering.Published.OfOrderAsync(orderId, types => types.Count > 1));
    }

    [Fact]
    public async Task A_cancelled_order_answers_the_same_again()
    {
        var orderId = await ordering.PlaceAsync();
        using var first = await CancelAsync(orderId, "first");
        using var second = await CancelAsync(orderId, "second");

        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal((await first.JsonAsync()).GetRawText(), (await second.JsonAsync()).GetRawText());
    }

    [Fact]
    public async Task No_reason_is_needed()
    {
        var orderId = await ordering.PlaceAsync();
        using var answer = await ordering.Client.PostAsync(
            new Uri($"/orders/{orderId}/cancellation", UriKind.Relative), null, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task With_the_right_version_it_is_cancelled()
    {
        using var answer = await CancelAsync(await ordering.PlaceAsync(), "x", ifMatch: "\"1\"");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task With_a_stale_version_nothing_happens()
    {
        var orderId = await ordering.PlacePaidAsync();

        using var answer = await CancelAsync(orderId, "x", ifMatch: "\"1\"");

        Assert.Equal(HttpStatusCode.PreconditionFailed, answer.StatusCode);
        Assert.Equal("urn:daprorders:stale-version", (await answer.JsonAsync()).GetProperty("type").GetString());
        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
        Assert.DoesNotContain(orderId, ordering.Neighbours.AskedForCancellation);
    }

    [Fact]
    public async Task A_star_matches_any_version()
    {
        using var answer = await CancelAsync(await ordering.PlaceAsync(), "x", ifMatch: "*");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("\"one\"")]
    [InlineData("W/\"1\"")]
    [InlineData("\"-1\"")]
    public async Task An_If_Match_that_is_no_ETag_of_an_order_is_refused_by_name(string ifMatch)
    {
        using var answer = await CancelAsync(await ordering.PlaceAsync(), "x", ifMatch);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty("If-Match", out _));
    }

    [Fact]
    public async Task A_paid_order_is_cancelled_once_Shipping_has_stopped_it()
    {
        var orderId = await ordering.PlacePaidAsync();

        using var answer = await CancelAsync(orderId, "x", ifMatch: "\"3\"");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains(orderId, ordering.Neighbours.AskedForCancellation);
        Assert.Equal("cancelled", (await answer.JsonAsync()).GetProperty("status").GetString());
    }

    [Fact]
    public async Task The_customers_words_are_kept_when_Shippings_event_comes_before_its_answer()
    {
        var orderId = await ordering.PlacePaidAsync();
        ordering.Neighbours.BeforeCancellationAnswers[orderId] = async reason =>
            Assert.Equal("SUCCESS", await ordering.DeliverAsync(new ShipmentCancelled(orderId, reason), 1));

        using var answer = await CancelAsync(orderId, "changed my mind");

        var cancellation = (await answer.JsonAsync()).GetProperty("cancellation");
        Assert.Equal("customer", cancellation.GetProperty("reason").GetString());
        Assert.Equal("changed my mind", cancellation.GetProperty("detail").GetString());
    }

    [Fact]
    public async Task A_paid_order_that_is_on_its_way_is_not_cancelled()
    {
        var orderId = await ordering.PlacePaidAsync();
        ordering.Neighbours.CancellationAnswers[orderId] = 409;

        using var answer = await CancelAsync(orderId, "x");

        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
        Assert.Equal("urn:daprorders:order-shipped", (await answer.JsonAsync()).GetProperty("type").GetString());
        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_paid_order_is_left_as_it_is_while_Shipping_cannot_be_asked()
    {
        var orderId = await ordering.PlacePaidAsync();
        ordering.Neighbours.CancellationAnswers[orderId] = 500;

        using var answer = await CancelAsync(orderId, "x");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_shipped_order_is_not_cancelled()
    {
        var orderId = await ordering.PlacePaidAsync();
        await ordering.DeliverAsync(new ShipmentRequested(orderId), 1);
        await ordering.DeliverAsync(new ShipmentDispatched(orderId, "T-1"), 2);

        using var answer = await CancelAsync(orderId, "x");

        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
        Assert.Equal("urn:daprorders:order-shipped", (await answer.JsonAsync()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_stopped_shipment_cancels_the_order_even_when_the_cancellation_died_half_way()
    {
        var orderId = await ordering.PlacePaidAsync();

        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new ShipmentCancelled(orderId, "changed my mind"), 1));

        var order = await ordering.GetJsonAsync($"/orders/{orderId}");
        Assert.Equal("cancelled", order.GetProperty("status").GetString());
        Assert.Equal("changed my mind", order.GetProperty("cancellation").GetProperty("detail").GetString());
    }

    [Fact]
    public async Task An_unknown_order_is_not_found()
    {
        using var answer = await CancelAsync("nowhere", "x");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("urn:daprorders:order-not-found", (await answer.JsonAsync()).GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("""{"reason":""}""")]
    [InlineData("""{"reason":42}""")]
    public async Task A_bad_reason_is_refused_by_name(string body)
    {
        using var answer = await ordering.PostTextAsync($"/orders/{await ordering.PlaceAsync()}/cancellation", body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty("reason", out _));
    }

    [Fact]
    public async Task A_reason_of_more_than_500_characters_is_refused()
    {
        using var answer = await CancelAsync(await ordering.PlaceAsync(), new string('x', 501));

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task A_body_above_16_KiB_is_refused()
    {
        using var answer = await CancelAsync(await ordering.PlaceAsync(), new string('x', 20 * 1024));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    private Task<HttpResponseMessage> CancelAsync(string orderId, string reason, string? ifMatch = null) =>
        ordering.PostAsync($"/orders/{orderId}/cancellation", new { reason }, ifMatch is null ? [] : [("If-Match", ifMatch)]);
}
