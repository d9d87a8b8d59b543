using DaprOrders.Contracts;
using DaprOrders.Shipping.Shipments;

namespace DaprOrders.Shipping.Tests;

/// <summary>Every pair of a shipment's status and a command has a defined answer.</summary>
public sealed class ShipmentDeciderTests
{
    private const string Id = "o-1";

    private static readonly Shipment NotAsked = new Shipment.NotAsked();
    private static readonly Shipment Requested = new Shipment.Requested();
    private static readonly Shipment Dispatched = new Shipment.Dispatched(TrackingNumber.Of(Id));
    private static readonly Shipment Cancelled = new Shipment.Cancelled();

    private static readonly ShipmentCommand AtOnce = new ShipmentCommand.Request(Id, AtOnce: true);
    private static readonly ShipmentCommand Request = new ShipmentCommand.Request(Id, AtOnce: false);
    private static readonly ShipmentCommand Dispatch = new ShipmentCommand.Dispatch(Id);
    private static readonly ShipmentCommand Cancel = new ShipmentCommand.Cancel(Id, "changed my mind");
    private static readonly ShipmentCommand OrderWasCancelled = new ShipmentCommand.OrderWasCancelled(Id);

    private static readonly ShipmentDispatched Leaves = new(Id, TrackingNumber.Of(Id));

    /// <summary>Status, command, and the answer: an event, null for nothing, or the code of a refusal.</summary>
    public static TheoryData<Shipment, ShipmentCommand, object?> Table => new()
    {
        { NotAsked, AtOnce, Leaves },
        { NotAsked, Request, new ShipmentRequested(Id) },
        { NotAsked, Dispatch, Refusals.NotFound },
        { NotAsked, Cancel, new ShipmentCancelled(Id, "changed my mind") },
        { NotAsked, OrderWasCancelled, null },

        { Requested, AtOnce, Leaves },
        { Requested, Request, null },
        { Requested, Dispatch, Leaves },
        { Requested, Cancel, new ShipmentCancelled(Id, "changed my mind") },
        { Requested, OrderWasCancelled, new ShipmentCancelled(Id) },

        { Dispatched, AtOnce, null },
        { Dispatched, Request, null },
        { Dispatched, Dispatch, null },
        { Dispatched, Cancel, Refusals.Dispatched },
        { Dispatched, OrderWasCancelled, null },

        { Cancelled, AtOnce, null },
        { Cancelled, Request, null },
        { Cancelled, Dispatch, Refusals.Cancelled },
        { Cancelled, Cancel, null },
        { Cancelled, OrderWasCancelled, null },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void Every_pair_has_its_answer(Shipment shipment, ShipmentCommand command, object? answer)
    {
        var decision = ShipmentDecider.Decide(shipment, command);

        Assert.Equal(answer as string, decision.Refusal?.Code);
        Assert.Equal(answer is ShipmentEvent happened ? [happened] : [], decision.Events);
        // Whatever is decided can be folded.
        Assert.NotNull(decision.Events.Aggregate(shipment, Shipment.Evolve));
    }

    [Fact]
    public void The_table_holds_every_pair()
    {
        Shipment[] all = [NotAsked, Requested, Dispatched, Cancelled];
        ShipmentCommand[] commands = [AtOnce, Request, Dispatch, Cancel, OrderWasCancelled];
        var pairs = all.SelectMany(shipment => commands.Select(command => (shipment, command)));

        Assert.Equal(Shipment.Category.Initial, NotAsked);
        Assert.Equal(typeof(Shipment).GetNestedTypes().Order(TypeNames.Instance), all.Select(shipment => shipment.GetType()).Order(TypeNames.Instance));
        Assert.Equal(
            typeof(ShipmentCommand).GetNestedTypes().Order(TypeNames.Instance),
            commands.Select(command => command.GetType()).Distinct().Order(TypeNames.Instance));
        Assert.Equal(pairs.ToHashSet(), Table.Select(row => (row.Data.Item1, row.Data.Item2)).ToHashSet());
    }

    private sealed class TypeNames : IComparer<Type>
    {
        public static TypeNames Instance { get; } = new();

        public int Compare(Type? x, Type? y) => string.CompareOrdinal(x?.Name, y?.Name);
    }
}
