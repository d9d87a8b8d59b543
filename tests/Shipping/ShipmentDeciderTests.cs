using DaprOrders.Contracts;
using DaprOrders.Shipping.Shipments;

namespace DaprOrders.Shipping.Tests;

/// <summary>Every pair of a shipment's status and a command has a defined answer.</summary>
public sealed class ShipmentDeciderTests
{
    private const string Id = "o-1";

    private static readonly Shipment s_notAsked = new Shipment.NotAsked();
    private static readonly Shipment s_requested = new Shipment.Requested();
    private static readonly Shipment s_dispatched = new Shipment.Dispatched(TrackingNumber.Of(Id));
    private static readonly Shipment s_cancelled = new Shipment.Cancelled();

    private static readonly ShipmentCommand s_atOnce = new ShipmentCommand.Request(Id, AtOnce: true);
    private static readonly ShipmentCommand s_request = new ShipmentCommand.Request(Id, AtOnce: false);
    private static readonly ShipmentCommand s_dispatch = new ShipmentCommand.Dispatch(Id);
    private static readonly ShipmentCommand s_cancel = new ShipmentCommand.Cancel(Id);
    private static readonly ShipmentCommand s_orderWasCancelled = new ShipmentCommand.OrderWasCancelled(Id);

    private static readonly ShipmentDispatched s_leaves = new(Id, TrackingNumber.Of(Id));

    /// <summary>Status, command, and the answer: an event, null for nothing, or the code of a refusal.</summary>
    public static TheoryData<Shipment, ShipmentCommand, object?> Table => new()
    {
        { s_notAsked, s_atOnce, s_leaves },
        { s_notAsked, s_request, new ShipmentRequested(Id) },
        { s_notAsked, s_dispatch, Refusals.NotFound },
        { s_notAsked, s_cancel, new ShipmentCancelled(Id) },
        { s_notAsked, s_orderWasCancelled, null },

        { s_requested, s_atOnce, s_leaves },
        { s_requested, s_request, null },
        { s_requested, s_dispatch, s_leaves },
        { s_requested, s_cancel, new ShipmentCancelled(Id) },
        { s_requested, s_orderWasCancelled, new ShipmentCancelled(Id) },

        { s_dispatched, s_atOnce, null },
        { s_dispatched, s_request, null },
        { s_dispatched, s_dispatch, null },
        { s_dispatched, s_cancel, Refusals.Dispatched },
        { s_dispatched, s_orderWasCancelled, null },

        { s_cancelled, s_atOnce, null },
        { s_cancelled, s_request, null },
        { s_cancelled, s_dispatch, Refusals.Cancelled },
        { s_cancelled, s_cancel, null },
        { s_cancelled, s_orderWasCancelled, null },
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
        Shipment[] all = [s_notAsked, s_requested, s_dispatched, s_cancelled];
        ShipmentCommand[] commands = [s_atOnce, s_request, s_dispatch, s_cancel, s_orderWasCancelled];
        var pairs = all.SelectMany(shipment => commands.Select(command => (shipment, command)));

        Assert.Equal(Shipment.Category.Initial, s_notAsked);
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
