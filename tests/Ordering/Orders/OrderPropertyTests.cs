using DaprOrders.Contracts;
using DaprOrders.Ordering.Orders;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.ServiceDefaults.Errors;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace DaprOrders.Ordering.Tests.Orders;

public class OrderPropertyTests
{
    private static readonly Arbitrary<object[]> Conversations =
        Gen.Elements(TestOrders.Inputs.Values.ToArray()).ArrayOf().ToArbitrary();

    [Property(MaxTest = 2000)]
    public Property Whatever_is_said_to_an_order_a_final_status_stays() => Prop.ForAll(Conversations, inputs =>
    {
        Order? final = null;
        Order order = new Order.NotPlaced();
        foreach (var input in inputs)
        {
            order = TestOrders.Decide(order, input).Events.Aggregate(order, Order.Evolve);
            if (final is not null && order != final)
                return false;
            final ??= order is Order.Shipped or Order.Cancelled ? order : null;
        }

        return true;
    });

    [Property(MaxTest = 2000)]
    public Property Whatever_is_said_to_an_order_it_is_shipped_only_after_stock_and_payment() => Prop.ForAll(Conversations, inputs =>
    {
        var (_, events) = Run(inputs);
        var names = events.Select(e => e.GetType().Name).ToList();
        return !names.Contains(nameof(OrderShipped))
            || names.SequenceEqual([nameof(OrderCreated), nameof(OrderStockReserved), nameof(OrderPaid), nameof(OrderShipped)]);
    });

    [Property(MaxTest = 2000)]
    public Property Said_twice_is_said_once() => Prop.ForAll(Conversations, inputs =>
    {
        var (order, _) = Run(inputs);
        return inputs.Length == 0 || TestOrders.Decide(order, inputs[^1]).Events.Count == 0;
    });

    [Property(MaxTest = 500)]
    public Property Terms_never_change() => Prop.ForAll(Conversations, inputs =>
        Run(inputs).Order is not Order.Placed placed || (placed.Terms.Lines.SequenceEqual(TestOrders.Terms.Lines) && placed.Terms.Total == TestOrders.Terms.Total));

    [Property(MaxTest = 500)]
    public Property Merged_lines_want_as_much_of_each_SKU_as_the_lines_asked_for() => Prop.ForAll(
        Gen.Choose(0, 5).Zip(Gen.Choose(1, 1000)).NonEmptyListOf().Where(lines => lines.Count <= WantedOrder.MaxLines).ToArbitrary(),
        lines =>
        {
            var errors = new FieldErrors();
            var wanted = WantedOrder.Read(
                new PlaceOrderRequest("c-1", "pm", [.. lines.Select(line => new PlaceOrderLine($"sku-{line.Item1}", line.Item2))]), errors);
            var expected = lines.GroupBy(line => $"sku-{line.Item1}").ToDictionary(group => group.Key, group => group.Sum(line => line.Item2));
            return !errors.Any && wanted!.Lines.ToDictionary(line => line.Sku, line => line.Quantity).OrderBy(l => l.Key).SequenceEqual(expected.OrderBy(l => l.Key));
        });

    private static (Order Order, List<OrderEvent> Events) Run(IEnumerable<object> inputs)
    {
        Order order = new Order.NotPlaced();
        var events = new List<OrderEvent>();
        foreach (var decided in inputs.Select(input => TestOrders.Decide(order, input).Events))
        {
            events.AddRange(decided);
            order = decided.Aggregate(order, Order.Evolve);
        }

        return (order, events);
    }
}
