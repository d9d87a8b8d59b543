using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;

namespace DaprOrders.Reporting.Tests.Orders;

public sealed class OrderSummaryTests
{
    private static readonly Money Total = new(19.00m, "EUR");

    private readonly Journal _journal = new();

    [Fact]
    public void A_shipped_order_has_its_whole_history()
    {
        var created = _journal.Now;
        _journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total));
        _journal.Now += TimeSpan.FromMinutes(1);
        _journal.Commit("0", new OrderPaid("o1", "ch-1"), new OrderShipped("o1", "T-1"));

        var summary = OrderSummary.Unknown("o1").Apply(_journal.All);

        Assert.Equal(("c-1", "shipped", 4L, "T-1", Total), (summary.CustomerId, summary.Status, summary.Version, summary.TrackingNumber, summary.Total));
        Assert.Equal(["created", "stockReserved", "paid", "shipped"], summary.History.Select(change => change.Status));
        Assert.Equal((created, _journal.Now), (summary.History[0].At, summary.UpdatedAt));
    }

    [Fact]
    public void What_the_other_services_say_is_seen_too()
    {
        _journal.Commit("0", new StockReserved("o1", [new ReservedLine("tea-001", 2)]));
        _journal.Commit("0", new PaymentAuthorized("o1", "ch-1", Total), new RefundRequested("o1"), new PaymentRefunded("o1", "re-1", Total));
        _journal.Commit("0", new ShipmentCancelled("o1"));
        _journal.Commit("0", new ReservationReleased("o1", []));

        var summary = OrderSummary.Unknown("o1").Apply(_journal.All);

        Assert.Equal(("released", "refunded", "cancelled"), (summary.Reservation, summary.Payment, summary.Shipment));
        Assert.Null(summary.CustomerId);
        Assert.Null(summary.Status);
    }

    [Fact]
    public void Events_that_are_known_change_nothing()
    {
        _journal.Commit("0", Journal.Created("o1"), new OrderCancelled("o1", "customer", "changed my mind"));
        var summary = OrderSummary.Unknown("o1").Apply(_journal.All);

        Assert.Same(summary, summary.Apply(_journal.All));
        Assert.Equal(new Cancellation("customer", "changed my mind"), summary.Cancellation);
    }

    [Fact]
    public void An_event_is_never_applied_before_the_one_before_it()
    {
        _journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total));

        Assert.Throws<InvalidOperationException>(() => OrderSummary.Unknown("o1").Apply([_journal.All[1]]));
    }

    [Fact]
    public void Every_event_that_is_registered_has_a_meaning_here()
    {
        foreach (var type in Journal.Types.All.Where(type => !typeof(ProductEvent).IsAssignableFrom(type.ClrType)))
        {
            var payload = System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(type.ClrType);
            var recorded = new RecordedEvent("s-1", 1, type.Name, 1, _journal.Now, null, null, default);

            Assert.Equal(1, OrderSummary.Unknown("o1").Apply([new IncomingEvent("p", recorded, payload)]).Positions["s-1"]);
        }
    }
}
