using DaprOrders.Tests;

namespace DaprOrders.Inventory.Tests;

public sealed class LaterPublishersTests : IDisposable
{
    private readonly InventoryHost _inventory = new();

    public void Dispose() => _inventory.Dispose();

    [Fact]
    public async Task An_order_with_an_event_that_is_not_known_yet_is_followed_as_if_it_were_not_there()
    {
        await _inventory.ListAsync("tea", 5);
        var order = new OrderStream().Created(("tea", 2)).GiftWrapped().Cancelled();

        Assert.Equal(["SUCCESS", "SUCCESS"], await _inventory.Service.DeliverAsync(order, 1, 2));
        Assert.Equal((5, 2, 3), await _inventory.StockAsync("tea"));
        Assert.Equal(["SUCCESS"], await _inventory.Service.DeliverAsync(order, 3));

        Assert.Equal((5, 0, 5), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public Task Whatever_is_wrong_is_answered_in_the_words_of_the_API() => WrongInput.IsAnsweredInTheWordsOfTheApiAsync(
        _inventory.Service.Client,
        new Dictionary<string, string>
        {
            ["PUT /products/{sku}"] = """{"name":"Tea","price":{"amount":9.50,"currency":"EUR"}}""",
            ["POST /products/{sku}/receipts"] = """{"quantity":5}""",
        });
}
