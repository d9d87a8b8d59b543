using DaprOrders.Contracts;
using DaprOrders.Inventory.ReservingStock;

namespace DaprOrders.Inventory.Tests;

/// <summary>Every pair of a reservation's status and a command has a defined answer.</summary>
public sealed class ReservationDeciderTests
{
    private const string Id = "o-1";
    private const string Contradiction = "reservation-contradiction";

    private static readonly ReservedLine[] s_lines = [new("tea", 2)];
    private static readonly ReservedLine[] s_asked = [new("tea", 3)];
    private static readonly StockShortage[] s_shortages = [new("tea", 2, 1)];

    private static readonly Reservation s_notAsked = new Reservation.NotAsked();
    private static readonly Reservation s_reserved = new Reservation.Reserved(s_lines);
    private static readonly Reservation s_rejected = new Reservation.Rejected(s_shortages);
    private static readonly Reservation s_released = new Reservation.Released(s_lines);
    private static readonly Reservation s_fulfilled = new Reservation.Fulfilled(s_lines);

    private static readonly ReservationCommand s_confirm = new ReservationCommand.Confirm(Id, s_lines);
    private static readonly ReservationCommand s_reject = new ReservationCommand.Reject(Id, s_shortages);
    private static readonly ReservationCommand s_release = new ReservationCommand.Release(Id, s_asked);
    private static readonly ReservationCommand s_fulfil = new ReservationCommand.Fulfil(Id);

    private static readonly Reservation[] s_reservations = [s_notAsked, s_reserved, s_rejected, s_released, s_fulfilled];
    private static readonly ReservationCommand[] s_commands = [s_confirm, s_reject, s_release, s_fulfil];

    /// <summary>Status, command, and the answer: an event, null for nothing, or the code of a refusal.</summary>
    public static TheoryData<Reservation, ReservationCommand, object?> Table => new()
    {
        { s_notAsked, s_confirm, new StockReserved(Id, s_lines) },
        { s_notAsked, s_reject, new StockRejected(Id, s_shortages) },
        { s_notAsked, s_release, new ReservationReleased(Id, s_asked) },
        { s_notAsked, s_fulfil, Contradiction },

        { s_reserved, s_confirm, null },
        { s_reserved, s_reject, null },
        { s_reserved, s_release, new ReservationReleased(Id, s_lines) },
        { s_reserved, s_fulfil, new ReservationFulfilled(Id) },

        { s_rejected, s_confirm, null },
        { s_rejected, s_reject, null },
        { s_rejected, s_release, null },
        { s_rejected, s_fulfil, Contradiction },

        { s_released, s_confirm, null },
        { s_released, s_reject, null },
        { s_released, s_release, null },
        { s_released, s_fulfil, Contradiction },

        { s_fulfilled, s_confirm, null },
        { s_fulfilled, s_reject, null },
        { s_fulfilled, s_release, Contradiction },
        { s_fulfilled, s_fulfil, null },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void Every_pair_has_its_answer(Reservation reservation, ReservationCommand command, object? answer)
    {
        var decision = ReservationDecider.Decide(reservation, command);

        Assert.Equal(answer as string, decision.Refusal?.Code);
        Assert.Equal(answer is ReservationEvent happened ? [happened] : [], decision.Events);
        // Whatever is decided can be folded.
        Assert.NotNull(decision.Events.Aggregate(reservation, Reservation.Evolve));
    }

    [Fact]
    public void The_table_holds_every_pair()
    {
        Assert.Equal(Reservation.Category.Initial, s_notAsked);
        Assert.Equal(Names(typeof(Reservation).GetNestedTypes()), Names(s_reservations.Select(reservation => reservation.GetType())));
        Assert.Equal(Names(typeof(ReservationCommand).GetNestedTypes()), Names(s_commands.Select(command => command.GetType())));
        Assert.Equal(
            s_reservations.SelectMany(reservation => s_commands.Select(command => (reservation, command))).ToHashSet(),
            Table.Select(row => (row.Data.Item1, row.Data.Item2)).ToHashSet());

        static IEnumerable<string> Names(IEnumerable<Type> types) => types.Select(type => type.Name).Distinct().Order(StringComparer.Ordinal);
    }

    [Fact]
    public void Lines_of_one_sku_are_one_and_stand_in_the_order_of_the_skus()
    {
        var price = new Money(1, "EUR");
        var order = new OrderCreated(
            Id, "c", "pm_card_ok", [new("z", "z", 1, price), new("B", "b", int.MaxValue, price), new("a", "a", 2, price), new("B", "b", 2, price)], price, null);

        Assert.Equal([new("B", int.MaxValue), new("a", 2), new("z", 1)], Reservation.LinesOf(order));
    }
}
