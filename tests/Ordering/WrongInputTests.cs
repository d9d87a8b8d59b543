using DaprOrders.Ordering.Tests.Running;
using DaprOrders.Tests;

namespace DaprOrders.Ordering.Tests;

public class WrongInputTests(RunningOrdering ordering)
{
    [Fact]
    public Task Whatever_is_wrong_is_answered_in_the_words_of_the_API() => WrongInput.IsAnsweredInTheWordsOfTheApiAsync(
        ordering.Client,
        new Dictionary<string, string>
        {
            ["POST /orders"] = """{"customerId":"c-42","paymentMethod":"pm_card_ok","lines":[{"sku":"tea-001","quantity":2}]}""",
            ["POST /orders/{orderId}/cancellation"] = """{"reason":"too late"}""",
            ["POST /dead-letters/{id}/edited-redrive"] = """{"data":{"orderId":"o-1"},"reason":"it was wrong"}""",
            ["POST /dead-letters/{id}/discard"] = """{"reason":"a test"}""",
            ["POST /dead-letters/redrive/selected"] = """{"ids":["a"]}""",
        });
}
