using DaprOrders.Shipping.Shipments;
using DaprOrders.Tests;

namespace DaprOrders.Shipping.Tests;

public sealed class ShipmentTests : IDisposable
{
    private readonly OrderStream _order = new OrderStream().Created(("tea", 1)).StockReserved().Paid();
    private ServiceHost<Program> _shipping = new();

    public ShipmentTests() => _shipping.Knows(_order);

    public void Dispose() => _shipping.Dispose();

    [Fact]
    public async Task A_paid_order_leaves_at_once()
    {
        Assert.Equal(["SUCCESS", "SUCCESS", "SUCCESS"], await _shipping.DeliverAsync(_order, 1, 2, 3));

        var (status, shipment) = await _shipping.GetAsync($"/shipments/{_order.OrderId}");
        Assert.Equal(200, status);
        Assert.Equal("dispatched", shipment.GetProperty("status").GetString());
        Assert.Equal(TrackingNumber.Of(_order.OrderId), shipment.GetProperty("trackingNumber").GetString());
        await Eventually.IsAsync(() => Task.FromResult(!_shipping.Published.IsEmpty));
        Assert.Equal("ShipmentDispatched", Assert.Single(_shipping.Published).Type);
    }

    [Fact]
    public async Task Duplicates_lost_and_reordered_messages_change_nothing()
    {
        await _shipping.DeliverAsync(_order, 3);
        await _shipping.DeliverAsync(_order, 2, 1, 3, 3);
        await _shipping.DeliverAsync(_order.Shipped(), 4, 4);

        Assert.Equal(["ShipmentDispatched"], await _shipping.EventsOfAsync($"shipment-{_order.OrderId}"));
    }

    [Fact]
    public async Task What_changes_nothing_is_not_written_down()
    {
        await _shipping.DeliverAsync(_order.Shipped(), 1, 2);
        Assert.Empty(await SeenAsync());

        await _shipping.DeliverAsync(_order, 3);
        await _shipping.DeliverAsync(_order, 4);
        Assert.Equal([3], await SeenAsync());
        Assert.Equal(0, _shipping.Fetches);

        async Task<IEnumerable<long>> SeenAsync() =>
            (await _shipping.Store.LoadAsync(Shipment.Category, _order.OrderId, TestContext.Current.CancellationToken)).Positions.Values;
    }

    [Fact]
    public async Task A_payment_that_its_cancellation_overtook_sends_nothing()
    {
        await _shipping.DeliverAsync(_order.Cancelled(), 4);
        Assert.Equal(["SUCCESS"], await _shipping.DeliverAsync(_order, 3));

        Assert.Empty(await _shipping.EventsOfAsync($"shipment-{_order.OrderId}"));
    }

    [Fact]
    public async Task A_cancellation_that_comes_first_stops_the_shipment_for_good()
    {
        var (status, shipment) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation");
        Assert.Equal((200, "cancelled"), (status, shipment.GetProperty("status").GetString()));

        Assert.Equal(["SUCCESS"], await _shipping.DeliverAsync(_order, 3));
        Assert.Equal(200, (await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation")).Status);
        Assert.Equal(["ShipmentCancelled"], await _shipping.EventsOfAsync($"shipment-{_order.OrderId}"));
    }

    [Fact]
    public async Task Nobody_cancels_the_shipment_of_an_order_that_never_existed()
    {
        var (status, problem) = await _shipping.PostAsync("/shipments/never-placed/cancellation", new { reason = "x" });

        Assert.Equal((404, "shipment-not-found"), (status, problem.Code()));
        await NothingIsWrittenAsync("never-placed");
    }

    [Fact]
    public async Task An_order_that_is_not_paid_has_no_shipment_to_cancel()
    {
        var unpaid = new OrderStream().Created(("tea", 1)).StockReserved();
        _shipping.Knows(unpaid);

        Assert.Equal(404, (await _shipping.PostAsync($"/shipments/{unpaid.OrderId}/cancellation")).Status);
        await NothingIsWrittenAsync(unpaid.OrderId);
        Assert.Equal(["SUCCESS"], await _shipping.DeliverAsync(unpaid.Paid(), 3));
        Assert.Equal(["ShipmentDispatched"], await _shipping.EventsOfAsync($"shipment-{unpaid.OrderId}"));
    }

    [Fact]
    public async Task While_Ordering_does_not_say_that_the_order_is_paid_nothing_is_decided()
    {
        _shipping.OrderingIsAway = true;
        var (status, problem) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation");
        Assert.Equal((503, "ordering-unavailable"), (status, problem.Code()));
        await NothingIsWrittenAsync(_order.OrderId);

        _shipping.OrderingIsAway = false;
        Assert.Equal(200, (await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation")).Status);
    }

    [Fact]
    public async Task What_Shipping_knows_it_does_not_ask_for()
    {
        await _shipping.DeliverAsync(_order, 3);
        await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation");

        Assert.Equal(0, _shipping.Fetches);
    }

    [Fact]
    public async Task The_customers_words_travel_with_the_cancellation()
    {
        await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation", new { reason = "changed my mind" });
        await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation", new { reason = "again" });

        await Eventually.IsAsync(() => Task.FromResult(!_shipping.Published.IsEmpty));
        Assert.Equal("changed my mind", Assert.Single(_shipping.Published).Data.GetProperty("reason").GetString());
    }

    [Fact]
    public async Task A_reason_that_is_too_long_is_refused_by_name()
    {
        var (status, problem) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation", new { reason = new string('x', 501) });

        Assert.Equal((400, true), (status, problem.GetProperty("errors").TryGetProperty("reason", out _)));
    }

    [Fact]
    public async Task What_has_left_cannot_be_cancelled()
    {
        await _shipping.DeliverAsync(_order, 3);

        var (status, problem) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation");
        Assert.Equal((409, "shipment-dispatched"), (status, problem.Code()));
    }

    [Fact]
    public async Task Many_cancellations_against_many_deliveries_end_in_one_answer()
    {
        var cancellations = Enumerable.Range(0, 10).Select(_ => _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation")).ToList();
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _shipping.DeliverAsync(_order, 3)));
        var answers = (await Task.WhenAll(cancellations)).Select(answer => answer.Status).Distinct().ToList();

        var happened = Assert.Single(await _shipping.EventsOfAsync($"shipment-{_order.OrderId}"));
        Assert.Equal(happened == "ShipmentDispatched" ? [409] : [200], answers);
    }

    [Fact]
    public async Task Without_auto_dispatch_it_waits_until_somebody_dispatches_it()
    {
        _shipping.Dispose();
        _shipping = new ServiceHost<Program>(settings: new Dictionary<string, string> { ["Shipping:AutoDispatch"] = "false" });

        var (early, problem) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/dispatch");
        Assert.Equal((404, "shipment-not-found"), (early, problem.Code()));
        await _shipping.DeliverAsync(_order, 3);
        Assert.Equal("requested", (await _shipping.GetAsync($"/shipments/{_order.OrderId}")).Body.GetProperty("status").GetString());
        for (var call = 0; call < 2; call++)
        {
            var (status, shipment) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/dispatch");
            Assert.Equal((200, "dispatched"), (status, shipment.GetProperty("status").GetString()));
        }

        Assert.Equal(["ShipmentRequested", "ShipmentDispatched"], await _shipping.EventsOfAsync($"shipment-{_order.OrderId}"));
    }

    [Fact]
    public async Task What_was_cancelled_cannot_be_dispatched()
    {
        await _shipping.PostAsync($"/shipments/{_order.OrderId}/cancellation");

        var (status, problem) = await _shipping.PostAsync($"/shipments/{_order.OrderId}/dispatch");
        Assert.Equal((409, "shipment-cancelled"), (status, problem.Code()));
    }

    [Theory]
    [InlineData("GET", "/shipments/unknown", 404, "shipment-not-found")]
    [InlineData("GET", "/shipments/no%20id", 400, "invalid-request")]
    [InlineData("POST", "/shipments/no%20id/dispatch", 400, "invalid-request")]
    [InlineData("POST", "/shipments/no%20id/cancellation", 400, "invalid-request")]
    [InlineData("GET", "/event-log/streams/shipment-1%7Cpage%7C1", 400, "invalid-request")]
    [InlineData("GET", "/event-log/streams/shipment", 400, "invalid-request")]
    [InlineData("GET", "/event-log/streams/..%2Flane", 400, "invalid-request")]
    [InlineData("GET", "/event-log/0%7C1", 404, "lane-not-found")]
    [InlineData("GET", "/event-log/9", 404, "lane-not-found")]
    public async Task A_bad_request_is_refused(string method, string path, int expected, string code)
    {
        var (status, problem) = await _shipping.SendAsync(new HttpMethod(method), path, null);
        Assert.Equal((expected, code), (status, problem.Code()));
    }

    [Fact]
    public async Task The_openapi_document_describes_every_answer_of_every_operation() => OpenApiDocument.Describes(
        (await _shipping.GetAsync("/openapi/v1.json")).Body,
        [
            "GET /shipments/{orderId}: 200 400 404 503",
            "POST /shipments/{orderId}/dispatch: 200 400 404 409 503",
            "POST /shipments/{orderId}/cancellation: 200 400 403 404 409 413 415 503",
            .. OpenApiDocument.OfEveryService,
            .. OpenApiDocument.EventLog,
        ]);

    private async Task NothingIsWrittenAsync(string orderId)
    {
        Assert.Empty(await _shipping.EventsOfAsync($"shipment-{orderId}"));
        Assert.Null(await _shipping.State.GetAsync($"stream|shipment-{orderId}", TestContext.Current.CancellationToken));
        Assert.Empty(_shipping.Published);
    }
}
