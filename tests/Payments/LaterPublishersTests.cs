using DaprOrders.Tests;

namespace DaprOrders.Payments.Tests;

public sealed class LaterPublishersTests : IDisposable
{
    private readonly ServiceHost<PaymentsOptions> _payments = new();

    public void Dispose() => _payments.Dispose();

    [Fact]
    public async Task An_order_with_an_event_that_is_not_known_yet_is_followed_as_if_it_were_not_there()
    {
        var order = new OrderStream().Created(("tea", 1)).GiftWrapped().Cancelled();

        Assert.Equal(["SUCCESS", "SUCCESS"], await _payments.DeliverAsync(order, 2, 3));

        Assert.Equal(["PaymentVoided"], await _payments.EventsOfAsync($"payment-{order.OrderId}"));
    }

    [Fact]
    public Task Whatever_is_wrong_is_answered_in_the_words_of_the_API() => WrongInput.IsAnsweredInTheWordsOfTheApiAsync(_payments.Client);
}
