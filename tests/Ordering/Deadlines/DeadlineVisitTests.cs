using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Deadlines;
using DaprOrders.Ordering.Orders;
using DaprOrders.Ordering.Tests.Orders;

namespace DaprOrders.Ordering.Tests.Deadlines;

public class DeadlineVisitTests
{
    [Theory]
    [InlineData("notPlaced", 1, "leave")]
    [InlineData("created", 1, "nudge, stay")]
    [InlineData("created", 2, "cancel, stay")]
    [InlineData("created", 8, "cancel, stay")]
    [InlineData("stockReserved", 1, "nudge, stay")]
    [InlineData("stockReserved", 2, "cancel, stay")]
    [InlineData("paid", 1, "nudge, stay")]
    [InlineData("paid", 7, "nudge, stay")]
    [InlineData("paid", 8, "leave")]
    [InlineData("shipped", 1, "nudge, stay")]
    [InlineData("shipped", 8, "leave")]
    [InlineData("cancelled", 1, "nudge, leave")]
    [InlineData("cancelled", 3, "nudge, leave")]
    public void Each_status_has_its_rule(string status, int round, string expected) =>
        Assert.Equal(expected, Describe(DeadlineVisit.Of(Stream(status, []), round)));

    [Fact]
    public void A_shipped_order_is_left_alone_once_Inventory_has_booked_it_out() =>
        Assert.Equal("leave", Describe(DeadlineVisit.Of(Stream("shipped", new() { [$"reservation-{TestOrders.Id}"] = 2 }), 1)));

    private static StreamState<Order> Stream(string status, Dictionary<string, long> positions) => new(
        $"order-{TestOrders.Id}", 4, TestOrders.ByStatus[status], DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, positions);

    private static string Describe(DeadlineVisit visit) =>
        (visit.Nudge ? "nudge, " : "") + (visit.Cancel ? "cancel, " : "") + (visit.Stays ? "stay" : "leave");
}
