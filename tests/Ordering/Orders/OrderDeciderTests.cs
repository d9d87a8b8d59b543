using DaprOrders.Contracts;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.Tests.Orders;

/// <summary>
/// docs/ordering.md says what every pair of status and input is answered by: the event; <c>-</c> for nothing to do; <c>!code</c> for a refusal.
/// </summary>
public class OrderDeciderTests
{
    private static readonly string[] Page = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "ordering.md"));

    /// <summary>By input, the answers in the order of the statuses.</summary>
    private static readonly Dictionary<string, string[]> Table = Rows("input").Skip(1).ToDictionary(row => row[0], row => row[1..]);

    private static readonly string[] Statuses = Rows("input")[0][1..];

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
        Assert.True(Table.TryGetValue(input, out var row), $"docs/ordering.md lacks a row for {input}.");
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
    public void The_page_has_no_row_and_no_column_too_many()
    {
        Assert.Equal(TestOrders.Inputs.Keys.Order(), Table.Keys.Order());
        Assert.Equal(TestOrders.ByStatus.Keys, Statuses);
    }

    [Fact]
    public void The_page_says_of_every_event_what_heals_its_loss()
    {
        var rows = Rows("event").Skip(1).ToList();

        Assert.All(rows, row => Assert.All(row, cell => Assert.NotEmpty(cell)));
        Assert.Equal(
            new[] { typeof(OrderEvent), typeof(ReservationEvent), typeof(PaymentEvent), typeof(ShipmentEvent), typeof(ProductEvent) }
                .SelectMany(ConcreteTypesOf).Select(type => type.Name).Order(),
            rows.Select(row => row[0]).Distinct().Order());
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

    /// <summary>The table whose first column has this name, its heading first.</summary>
    private static List<string[]> Rows(string firstColumn) =>
    [
        .. Page.SkipWhile(line => !line.StartsWith($"| {firstColumn} |", StringComparison.Ordinal))
            .TakeWhile(line => line.StartsWith('|'))
            .Where(line => !line.StartsWith("|-", StringComparison.Ordinal))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim(' ', '`')).ToArray()),
    ];

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
