using DaprOrders.Tests;

namespace DaprOrders.Shipping.Tests;

public sealed class LaterPublishersTests : IDisposable
{
    private readonly ServiceHost<Program> _shipping = new();

    public void Dispose() => _shipping.Dispose();

    [Fact]
    public async Task An_order_with_an_event_that_is_not_known_yet_is_followed_as_if_it_were_not_there()
    {
        var order = new OrderStream().Created(("tea", 1)).StockReserved().GiftWrapped().Paid();

        Assert.Equal(["SUCCESS", "SUCCESS"], await _shipping.DeliverAsync(order, 3, 4));

        Assert.Equal(["ShipmentDispatched"], await _shipping.EventsOfAsync($"shipment-{order.OrderId}"));
    }

    [Fact]
    public Task Whatever_is_wrong_is_answered_in_the_words_of_the_API() => WrongInput.IsAnsweredInTheWordsOfTheApiAsync(_shipping.Client);
}
