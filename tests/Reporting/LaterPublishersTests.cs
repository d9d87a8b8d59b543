using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.Tests;

namespace DaprOrders.Reporting.Tests;

/// <summary>Publishers are upgraded first, and publish events that this service does not know yet.</summary>
public sealed class LaterPublishersTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_event_of_a_type_that_is_not_known_yet_is_acknowledged()
    {
        await using var api = new ReportingApi();

        await api.DeliverAsync("orders", [Later("ordering", "order-1", 1)]);
    }

    [Fact]
    public async Task The_logs_are_followed_over_what_is_not_known_and_a_rebuild_of_the_upgraded_service_brings_it_in()
    {
        var (state, journal) = (new StateInMemory(), new Journal());
        journal.Commit("0", Journal.Created("o-1"), new OrderStockReserved("o-1", "pm_card_ok", new Money(19.00m, "EUR")));
        // To this program, ordering's next event is one of a later version; it makes the order paid.
        journal.Rename("OrderPaid", "OrderPaidInAdvance");
        journal.Commit("0", new OrderPaid("o-1", "ch-1"));
        journal.Commit("0", Journal.Created("o-2"));

        await using (var old = new ReportingApi(state, journal))
        {
            await old.EventuallyAsync("/summary", summary => summary.GetProperty("orders").GetInt64() == 2);
            Assert.Equal(0, (await old.GetAsync("/summary")).GetProperty("sold").GetInt64());
            Assert.Equal(JsonValueKind.Null, (await old.GetAsync("/projections")).GetProperty("failure").ValueKind);
        }

        await using var upgraded = new ReportingApi(state, journal, new EventTypes()
            .AddFamily<OrderEvent>().AddFamily<ReservationEvent>().AddFamily<PaymentEvent>().AddFamily<ShipmentEvent>().Add<OrderPaid>("OrderPaidInAdvance"));
        await upgraded.Http.PostAsync("/projections/rebuild", null, Cancellation);

        await upgraded.EventuallyAsync("/summary", summary => summary.GetProperty("sold").GetInt64() == 1);
    }

    [Fact]
    public async Task Whatever_is_wrong_is_answered_in_the_words_of_the_API()
    {
        await using var api = new ReportingApi();

        await WrongInput.IsAnsweredInTheWordsOfTheApiAsync(api.Http);
    }

    private static IncomingEvent Later(string publisher, string stream, long version) => new(
        publisher,
        new RecordedEvent(stream, version, "AddedLater", 1, DateTimeOffset.UnixEpoch, null, null, JsonSerializer.SerializeToElement(new { orderId = "1" })),
        NotKnownHere.Instance);
}
