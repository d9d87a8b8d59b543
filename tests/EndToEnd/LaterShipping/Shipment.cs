using System.Diagnostics;
using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Shipping.Shipments;

/// <summary>What a shipment's events amount to. <c>Dispatched</c> and <c>Cancelled</c> are final: whichever comes first decides.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "status")]
[JsonDerivedType(typeof(NotAsked), "notAsked")]
[JsonDerivedType(typeof(Requested), "requested")]
[JsonDerivedType(typeof(Dispatched), "dispatched")]
[JsonDerivedType(typeof(Cancelled), "cancelled")]
public abstract record Shipment
{
    private Shipment()
    {
    }

    public static StreamCategory<Shipment, ShipmentEvent> Category { get; } = new("shipment", "shipments", new NotAsked(), Evolve);

    /// <summary>Nothing is known of the order here.</summary>
    public sealed record NotAsked : Shipment;

    /// <summary>Paid, and waits for somebody to dispatch it.</summary>
    public sealed record Requested : Shipment;

    public sealed record Dispatched(string TrackingNumber) : Shipment;

    public sealed record Cancelled : Shipment;

    public static Shipment Evolve(Shipment shipment, ShipmentEvent happened) => (shipment, happened) switch
    {
        (NotAsked, ShipmentRequested) => new Requested(),
        (NotAsked or Requested, ShipmentPacked) => new Requested(),
        (NotAsked or Requested, ShipmentDispatched e) => new Dispatched(e.Tracking.Number),
        (NotAsked or Requested, ShipmentCancelled) => new Cancelled(),
        _ => throw new UnreachableException($"{happened.GetType().Name} cannot follow in the stream of a shipment that is {shipment.GetType().Name}."),
    };
}
