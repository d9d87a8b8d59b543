using DaprOrders.Contracts;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.Tests.Orders;

/// <summary>
/// Every pair of status and input, and its answer: the events; <c>-</c> for nothing to do; <c>!code</c> for a refusal.
/// </summary>
public class OrderDeciderTests
{
    private const string Reserved = "OrderStockReserved";
    private const string Paid = "OrderPaid";
    private const string Shipped = "OrderShipped";
    private const string OutOfStock = "OrderCancelled(outOfStock)";
    private const string Declined = "OrderCancelled(paymentDeclined)";
    private const string Timeout = "OrderCancelled(paymentTimeout)";
    private const string Customer = "OrderCancelled(customer)";
    private const string Unknown = "!order-not-found";
    private const string Wrong = "!contradicts-history";

    private static readonly string[] Statuses = ["notPlaced", "created", "stockReserved", "paid", "shipped", "cancelled"];

    private static readonly Dictionary<string, string[]> Table = new()
    {
        ["Place, the same request"] = ["OrderCreated", "-", "-", "-", "-", "-"],
        ["Place, another request"] = ["OrderCreated", "!idempotency-key-reused", "!idempotency-key-reused", "!idempotency-key-reused", "!idempotency-key-reused", "!idempotency-key-reused"],
        ["Cancel"] = [Unknown, Customer, Customer, "!shipment-not-stopped", "!order-shipped", "-"],
        ["Cancel, shipment stopped"] = [Unknown, Customer, Customer, Customer, "!order-shipped", "-"],
        ["CancelUnpaid"] = ["-", Timeout, Timeout, "-", "-", "-"],
        ["StockReserved"] = [Unknown, Reserved, "-", "-", "-", "-"],
        ["StockRejected"] = [Unknown, OutOfStock, Wrong, Wrong, Wrong, "-"],
        ["ReservationReleased"] = [Unknown, Wrong, Wrong, Wrong, Wrong, "-"],
        ["ReservationFulfilled"] = [Unknown, Wrong, Wrong, Wrong, "-", Wrong],
        ["PaymentRequested"] = [Unknown, Wrong, "-", "-", "-", "-"],
        ["PaymentAuthorized"] = [Unknown, Wrong, Paid, "-", "-", "-"],
        ["PaymentDeclined"] = [Unknown, Wrong, Declined, Wrong, Wrong, "-"],
        ["PaymentVoided"] = [Unknown, Wrong, Wrong, Wrong, Wrong, "-"],
        ["RefundRequested"] = [Unknown, Wrong, Wrong, Wrong, Wrong, "-"],
        ["PaymentRefunded"] = [Unknown, Wrong, Wrong, Wrong, Wrong, "-"],
        ["RefundRefused"] = [Unknown, Wrong, Wrong, Wrong, Wrong, "-"],
        ["ShipmentRequested"] = [Unknown, Wrong, Wrong, "-", "-", "-"],
        ["ShipmentDispatched"] = [Unknown, Wrong, Wrong, Shipped, "-", Wrong],
        ["ShipmentCancelled"] = [Unknown, Customer, Customer, Customer, Wrong, "-"],
    };

    public static TheoryData<string, string> Pairs()
    {
        var pairs = new TheoryData<string, string>();
        foreach (var input in TestOrders.Inputs.Keys)
        {
            foreach (var status in TestOrders.ByStatus.Keys)
                pairs.Add(status, input);
        }

        return pairs;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Every_pair_of_status_and_input_has_its_answer(string status, string input)
    {
        Assert.True(Table.TryGetValue(input, out var row), $"The table lacks a row for {input}.");
        var expected = row[Array.IndexOf(Statuses, status)];

        var decision = TestOrders.Decide(TestOrders.ByStatus[status], TestOrders.Inputs[input]);

        Assert.Equal(expected, Describe(decision));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void What_is_decided_can_be_applied(string status, string input)
    {
        var order = TestOrders.ByStatus[status];

        var next = TestOrders.Decide(order, TestOrders.Inputs[input]).Events.Aggregate(order, Order.Evolve);

        if (status is "shipped" or "cancelled")
            Assert.Same(order, next);
    }

    [Fact]
    public void No_status_is_missing() => Assert.Equal(
        ConcreteTypesOf(typeof(Order)), TestOrders.ByStatus.Values.Select(order => order.GetType()).ToHashSet());

    [Fact]
    public void No_command_and_no_incoming_event_is_missing() => Assert.Equal(
        new[] { typeof(OrderCommand), typeof(ReservationEvent), typeof(PaymentEvent), typeof(ShipmentEvent) }.SelectMany(ConcreteTypesOf).ToHashSet(),
        TestOrders.Inputs.Values.Select(input => input.GetType()).ToHashSet());

    [Fact]
    public void Every_own_event_leads_somewhere()
    {
        var decided = TestOrders.ByStatus.Values
            .SelectMany(order => TestOrders.Inputs.Values.SelectMany(input => TestOrders.Decide(order, input).Events))
            .Select(happened => happened.GetType());

        Assert.Equal(ConcreteTypesOf(typeof(OrderEvent)), decided.ToHashSet());
    }

    [Fact]
    public void An_event_of_a_type_that_is_not_known_is_never_skipped()
    {
        Assert.Throws<System.Diagnostics.UnreachableException>(() => Order.Evolve(TestOrders.ByStatus["created"], new OrderDreamed("o-1")));
        Assert.Throws<System.Diagnostics.UnreachableException>(() => OrderDecider.Decide(TestOrders.ByStatus["created"], new PaymentDreamed("o-1")));
    }

    [Fact]
    public void A_rejection_says_what_is_short()
    {
        var decision = TestOrders.Decide(TestOrders.ByStatus["created"], TestOrders.Inputs["StockRejected"]);

        Assert.Equal("tea-001: 2 asked for, 1 available", Assert.IsType<OrderCancelled>(decision.Events[0]).Detail);
    }

    private static string Describe(EventSourcing.Decision<OrderEvent> decision) => decision switch
    {
        { Refusal: { } refusal } => $"!{refusal.Code}",
        { Events.Count: 0 } => "-",
        _ => string.Join(" ", decision.Events.Select(e => e is OrderCancelled c ? $"OrderCancelled({c.Reason})" : e.GetType().Name)),
    };

    private static HashSet<Type> ConcreteTypesOf(Type family) =>
        [.. family.Assembly.GetTypes().Where(type => !type.IsAbstract && family.IsAssignableFrom(type))];

    private sealed record OrderDreamed(string OrderId) : OrderEvent(OrderId);

    private sealed record PaymentDreamed(string OrderId) : PaymentEvent(OrderId);
}
