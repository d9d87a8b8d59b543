using System.Diagnostics;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Shipping.Shipments;

public abstract record ShipmentCommand(string OrderId)
{
    /// <summary>The order is paid. <c>AtOnce</c>: it leaves the house without anybody asking.</summary>
    public sealed record Request(string OrderId, bool AtOnce) : ShipmentCommand(OrderId);

    /// <summary>Somebody sends it off.</summary>
    public sealed record Dispatch(string OrderId) : ShipmentCommand(OrderId);

    /// <summary>Ordering asks whether it can still be stopped; the answer binds both.</summary>
    /// <param name="Reason">The customer's words.</param>
    public sealed record Cancel(string OrderId, string? Reason) : ShipmentCommand(OrderId);

    /// <summary>The order was cancelled. One that was paid asked first (<see cref="Cancel"/>); one that was not has nothing here.</summary>
    public sealed record OrderWasCancelled(string OrderId) : ShipmentCommand(OrderId);
}

public static class ShipmentDecider
{
    public static Decision<ShipmentEvent> Decide(Shipment shipment, ShipmentCommand command) => (command, shipment) switch
    {
        (ShipmentCommand.Request { AtOnce: true } c, Shipment.NotAsked or Shipment.Requested) => Dispatched(c),
        (ShipmentCommand.Request { AtOnce: false } c, Shipment.NotAsked) => new ShipmentRequested(c.OrderId),
        (ShipmentCommand.Request { AtOnce: false }, Shipment.Requested) => Decision<ShipmentEvent>.Nothing,
        (ShipmentCommand.Request, Shipment.Dispatched or Shipment.Cancelled) => Decision<ShipmentEvent>.Nothing,

        (ShipmentCommand.Dispatch c, Shipment.NotAsked) => Decision<ShipmentEvent>.Refuse(
            Refusals.NotFound, $"Order {c.OrderId} has no shipment: it is not paid, or its payment has not arrived here yet."),
        (ShipmentCommand.Dispatch c, Shipment.Requested) => Dispatched(c),
        (ShipmentCommand.Dispatch, Shipment.Dispatched) => Decision<ShipmentEvent>.Nothing,
        (ShipmentCommand.Dispatch c, Shipment.Cancelled) => Decision<ShipmentEvent>.Refuse(
            Refusals.Cancelled, $"The shipment of order {c.OrderId} was cancelled; it cannot be dispatched any more."),

        (ShipmentCommand.Cancel c, Shipment.NotAsked or Shipment.Requested) => new ShipmentCancelled(c.OrderId, c.Reason),
        (ShipmentCommand.Cancel c, Shipment.Dispatched s) => Decision<ShipmentEvent>.Refuse(
            Refusals.Dispatched, $"Order {c.OrderId} has left the house under {s.TrackingNumber}; it cannot be stopped any more."),
        (ShipmentCommand.Cancel, Shipment.Cancelled) => Decision<ShipmentEvent>.Nothing,

        (ShipmentCommand.OrderWasCancelled, Shipment.NotAsked or Shipment.Dispatched or Shipment.Cancelled) => Decision<ShipmentEvent>.Nothing,
        (ShipmentCommand.OrderWasCancelled c, Shipment.Requested) => new ShipmentCancelled(c.OrderId),

        _ => throw new UnreachableException($"No answer of {shipment} to {command}."),
    };

    private static ShipmentDispatched Dispatched(ShipmentCommand command) => new(command.OrderId, TrackingNumber.Of(command.OrderId));
}

/// <summary>The codes of refusals, as they stand in <c>urn:daprorders:{code}</c>.</summary>
public static class Refusals
{
    public const string NotFound = "shipment-not-found";
    public const string Cancelled = "shipment-cancelled";
    public const string Dispatched = "shipment-dispatched";
}
