using DaprOrders.Contracts;
using DaprOrders.Inventory.ReservingStock;

namespace DaprOrders.Inventory.Tests;

/// <summary>Every pair of a reservation's status and a command has a defined answer.</summary>
public sealed class ReservationDeciderTests
{
    private const string Id = "o-1";
    private const string Contradiction = "reservation-contradiction";

    private static readonly ReservedLine[] Lines = [new("tea", 2)];
    private static readonly ReservedLine[] Asked = [new("tea", 3)];
    private static readonly StockShortage[] Shortages = [new("tea", 2, 1)];

    private static readonly Reservation NotAsked = new Reservation.NotAsked();
    private static readonly Reservation Reserved = new Reservation.Reserved(Lines);
    private static readonly Reservation Rejected = new Reservation.Rejected(Shortages);
    private static readonly Reservation Released = new Reservation.Released(Lines);
    private static readonly Reservation Fulfilled = new Reservation.Fulfilled(Lines);

    private static readonly ReservationCommand Confirm = new ReservationCommand.Confirm(Id, Lines);
    private static readonly ReservationCommand Reject = new ReservationCommand.Reject(Id, Shortages);
    private static readonly ReservationCommand Release = new ReservationCommand.Release(Id, Asked);
    private static readonly ReservationCommand Fulfil = new ReservationCommand.Fulfil(Id);

    private static readonly Reservation[] Reservations = [NotAsked, Reserved, Rejected, Released, Fulfilled];
    private static readonly ReservationCommand[] Commands = [Confirm, Reject, Release, Fulfil];

    /// <summary>Status, command, and the answer: an event, null for nothing, or the code of a refusal.</summary>
    public static TheoryData<Reservation, ReservationCommand, object?> Table => new()
    {
        { NotAsked, Confirm, new StockReserved(Id, Lines) },
        { NotAsked, Reject, new StockRejected(Id, Shortages) },
        { NotAsked, Release, new ReservationReleased(Id, Asked) },
        { NotAsked, Fulfil, Contradiction },

        { Reserved, Confirm, null },
        { Reserved, Reject, null },
        { Reserved, Release, new ReservationReleased(Id, Lines) },
        { Reserved, Fulfil, new ReservationFulfilled(Id) },

        { Rejected, Confirm, null },
        { Rejected, Reject, null },
        { Rejected, Release, null },
        { Rejected, Fulfil, Contradiction },

        { Released, Confirm, null },
        { Released, Reject, null },
        { Released, Release, null },
        { Released, Fulfil, Contradiction },

        { Fulfilled, Confirm, null },
        { Fulfilled, Reject, null },
        { Fulfilled, Release, Contradiction },
        { Fulfilled, Fulfil, null },
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
        Assert.Equal(Reservation.Category.Initial, NotAsked);
        Assert.Equal(Names(typeof(Reservation).GetNestedTypes()), Names(Reservations.Select(reservation => reservation.GetType())));
        Assert.Equal(Names(typeof(ReservationCommand).GetNestedTypes()), Names(Commands.Select(command => command.GetType())));
        Assert.Equal(
            Reservations.SelectMany(reservation => Commands.Select(command => (reservation, command))).ToHashSet(),
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
