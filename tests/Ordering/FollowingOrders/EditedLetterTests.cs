using System.Net;
using DaprOrders.Contracts;
using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests.FollowingOrders;

/// <summary>A dead letter that an operator edits, and the order that waits for it.</summary>
public class EditedLetterTests(RunningOrdering ordering)
{
    [Fact]
    public async Task Given_a_payment_that_cannot_be_read_when_it_is_edited_then_the_order_goes_on_once_and_its_event_names_the_edit()
    {
        var orderId = await ordering.PlaceAsync();
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new StockReserved(orderId, [new ReservedLine("tea-001", 2)]), 1));
        var unreadable = Authorized(orderId, new { amount = "nineteen", currency = "EUR" });
        Assert.Equal("DROP", await DeliverAsync("payments", unreadable));
        Assert.Equal("SUCCESS", await DeliverAsync("dead-letters", unreadable));
        var letter = await LetterOfAsync($"payment-{orderId}");

        using var refused = await EditAsync(letter!, "another-order");
        using var edited = await EditAsync(letter!, orderId);

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK), (refused.StatusCode, edited.StatusCode));
        Assert.Equal("handled", (await edited.JsonAsync()).GetProperty("result").GetString());
        Assert.True((await refused.JsonAsync()).GetProperty("errors").TryGetProperty("data.orderId", out _));
        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
        var paid = (await ordering.GetJsonAsync($"/orders/{orderId}/events")).EnumerateArray().Last();
        Assert.Equal("OrderPaid", paid.GetProperty("type").GetString());
        Assert.StartsWith($"payment-{orderId}:2~", paid.GetProperty("causationId").GetString(), StringComparison.Ordinal);

        // However the original comes again, and whatever it says then.
        Assert.Equal("DROP", await DeliverAsync("payments", unreadable));
        Assert.Equal("SUCCESS", await DeliverAsync("dead-letters", unreadable));
        Assert.Equal("SUCCESS", await DeliverAsync("payments", Authorized(orderId, new { amount = 19.00m, currency = "EUR" })));
        Assert.Null(await LetterOfAsync($"payment-{orderId}"));
        Assert.Equal(3, (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("version").GetInt64());

    }

    [Theory]
    [InlineData(true, "passedOver")]
    [InlineData(false, "withoutEffect")]
    public async Task Given_an_order_that_has_gone_on_when_a_letter_of_it_is_edited_then_it_is_said_that_nothing_came_of_it(bool hasLaterEvent, string result)
    {
        var orderId = await ordering.PlaceAsync();
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new StockReserved(orderId, [new ReservedLine("tea-001", 2)]), 1));
        var unreadable = Authorized(orderId, new { amount = "nineteen", currency = "EUR" });
        Assert.Equal("SUCCESS", await DeliverAsync("dead-letters", unreadable));
        if (hasLaterEvent)
            Assert.Equal("SUCCESS", await DeliverAsync("payments", Authorized(orderId, new { amount = 19.00m, currency = "EUR" }, version: 3)));
        else
            await ordering.PostAsync($"/orders/{orderId}/cancellation", new { reason = "too late" });
        var before = (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("version").GetInt64();

        using var edited = await EditAsync((await LetterOfAsync($"payment-{orderId}"))!, orderId);

        var answer = await edited.JsonAsync();
        Assert.Equal((HttpStatusCode.OK, result), (edited.StatusCode, answer.GetProperty("result").GetString()));
        Assert.Equal(before, (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("version").GetInt64());
        Assert.Null(await LetterOfAsync($"payment-{orderId}"));
        var act = await ordering.GetJsonAsync($"/dead-letters/acts/{answer.GetProperty("actId").GetString()}");
        Assert.Equal(result, act.GetProperty("entry").GetProperty("result").GetString());
    }

    private Task<HttpResponseMessage> EditAsync(string id, string order) => ordering.PostAsync(
        $"/dead-letters/{id}/edited-redrive",
        new { data = new { orderId = order, chargeId = "ch-1", amount = new { amount = 19.00m, currency = "EUR" } }, reason = "the amount was a word" });

    private async Task<string?> LetterOfAsync(string stream) =>
        (await ordering.GetJsonAsync("/dead-letters?limit=500")).GetProperty("deadLetters").EnumerateArray()
            .Where(letter => letter.GetProperty("stream").GetString() == stream)
            .Select(letter => letter.GetProperty("id").GetString())
            .SingleOrDefault();

    private async Task<string?> DeliverAsync(string route, object cloudEvent)
    {
        using var answer = await ordering.PostAsync($"/events/{route}", cloudEvent);
        return (await answer.JsonAsync()).GetProperty("status").GetString();
    }

    private static object Authorized(string orderId, object amount, int version = 2) =>
        Message("payments", "payments", nameof(PaymentAuthorized), $"payment-{orderId}", version, new { orderId, chargeId = "ch-1", amount });

    private static object Message(string topic, string source, string type, string stream, int version, object data) => new
    {
        specversion = "1.0",
        id = $"{stream}:{version}",
        source,
        type,
        time = DateTimeOffset.UnixEpoch,
        stream,
        streamversion = version,
        schemaversion = 1,
        topic,
        data,
    };
}
