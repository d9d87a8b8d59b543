using DaprOrders.Tests;

namespace DaprOrders.PaymentProvider.Tests;

public sealed class WrongInputTests
{
    [Fact]
    public async Task Whatever_is_wrong_is_answered_in_the_words_of_the_API()
    {
        await using var provider = new ProviderHost();

        await WrongInput.IsAnsweredInTheWordsOfTheApiAsync(
            provider.Client,
            new Dictionary<string, string>
            {
                ["POST /charges"] = """{"amount":19.00,"currency":"EUR","paymentMethod":"pm_card_ok","reference":"order-1"}""",
                ["POST /charges/{id}/refunds"] = """{"amount":1.00}""",
            });
    }
}
