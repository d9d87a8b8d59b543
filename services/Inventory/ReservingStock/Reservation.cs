using System.Diagnostics;
using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.ReservingStock;

/// <summary>
/// What an order's reservation amounts to. Its stream is the one place where it is decided whether the order gets its goods; what an event of it
/// says of goods is done at every SKU before it is written. <c>Rejected</c>, <c>Released</c> and <c>Fulfilled</c> are final.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "status")]
[JsonDerivedType(typeof(NotAsked), "notAsked")]
[JsonDerivedType(typeof(Reserved), "reserved")]
[JsonDerivedType(typeof(Rejected), "rejected")]
[JsonDerivedType(typeof(Released), "released")]
[JsonDerivedType(typeof(Fulfilled), "fulfilled")]
public abstract record Reservation
{
    private Reservation()
    {
    }

    public static StreamCategory<Reservation, ReservationEvent> Category { get; } = new("reservation", "stock", new NotAsked(), Evolve);

    public sealed record NotAsked : Reservation;

    public sealed record Reserved(IReadOnlyList<ReservedLine> Lines) : Reservation;

    public sealed record Rejected(IReadOnlyList<StockShortage> Shortages) : Reservation;

    /// <summary><c>Lines</c>: what the order asked for; nothing of it may stay held.</summary>
    public sealed record Released(IReadOnlyList<ReservedLine> Lines) : Reservation;

    public sealed record Fulfilled(IReadOnlyList<ReservedLine> Lines) : Reservation;

    public static Reservation Evolve(Reservation reservation, ReservationEvent happened) => (reservation, happened) switch
    {
        (NotAsked, StockReserved e) => new Reserved(e.Lines),
        (NotAsked, StockRejected e) => new Rejected(e.Shortages),
        (NotAsked or Reserved, ReservationReleased e) => new Released(e.Lines),
        (Reserved r, ReservationFulfilled) => new Fulfilled(r.Lines),
        _ => throw new UnreachableException($"{happened.GetType().Name} cannot follow in the stream of a reservation that is {reservation.GetType().Name}."),
    };

    /// <summary>What an order asks for, SKU by SKU in a fixed order.</summary>
    public static IReadOnlyList<ReservedLine> LinesOf(OrderCreated order) =>
    [
        .. order.Lines
            .GroupBy(line => line.Sku)
            .OrderBy(lines => lines.Key, StringComparer.Ordinal)
            .Select(lines => new ReservedLine(lines.Key, (int)Math.Min(int.MaxValue, lines.Sum(line => (long)line.Quantity)))),
    ];
}
