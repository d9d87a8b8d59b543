using DaprOrders.Contracts;
using DaprOrders.Payments.Payments;

namespace DaprOrders.Payments.Tests;

/// <summary>Every pair of a payment's status and a command has a defined answer.</summary>
public sealed class PaymentDeciderTests
{
    private const string Id = "o-1";
    private const string Contradiction = "payment-contradiction";

    private static readonly Money Amount = new(19.00m, "EUR");

    private static readonly Payment NotAsked = new Payment.NotAsked();
    private static readonly Payment Requested = new Payment.Requested(Amount, "pm_card_ok");
    private static readonly Payment CancelledWhileCharging = new Payment.CancelledWhileCharging(Amount, "pm_card_ok");
    private static readonly Payment Authorized = new Payment.Authorized("ch_1", Amount);
    private static readonly Payment RefundDue = new Payment.RefundDue("ch_1", Amount);
    private static readonly Payment RefundBlocked = new Payment.RefundBlocked("ch_1", Amount);
    private static readonly Payment Refunded = new Payment.Refunded("ch_1", Amount);
    private static readonly Payment Declined = new Payment.Declined();
    private static readonly Payment Voided = new Payment.Voided();

    private static readonly PaymentCommand Request = new PaymentCommand.Request(Id, Amount, "pm_card_ok");
    private static readonly PaymentCommand Cancel = new PaymentCommand.Cancel(Id);
    private static readonly PaymentCommand Charge = new PaymentCommand.RecordCharge(Id, "ch_1");
    private static readonly PaymentCommand OtherCharge = new PaymentCommand.RecordCharge(Id, "ch_2");
    private static readonly PaymentCommand Decline = new PaymentCommand.RecordDecline(Id, "card_declined");
    private static readonly PaymentCommand Refund = new PaymentCommand.RecordRefund(Id, "re_1");
    private static readonly PaymentCommand RefundRefusal = new PaymentCommand.RecordRefundRefusal(Id, "charge-too-old");
    private static readonly PaymentCommand RefundAgain = new PaymentCommand.RefundAgain(Id);

    private static readonly Payment[] Payments =
        [NotAsked, Requested, CancelledWhileCharging, Authorized, RefundDue, RefundBlocked, Refunded, Declined, Voided];

    private static readonly PaymentCommand[] Commands = [Request, Cancel, Charge, OtherCharge, Decline, Refund, RefundRefusal, RefundAgain];

    /// <summary>Status, command, and the answer: an event, null for nothing, or the code of a refusal.</summary>
    public static TheoryData<Payment, PaymentCommand, object?> Table => new()
    {
        { NotAsked, Request, new PaymentRequested(Id, Amount, "pm_card_ok") },
        { NotAsked, Cancel, new PaymentVoided(Id) },
        { NotAsked, Charge, Contradiction },
        { NotAsked, OtherCharge, Contradiction },
        { NotAsked, Decline, Contradiction },
        { NotAsked, Refund, Contradiction },
        { NotAsked, RefundRefusal, Contradiction },
        { NotAsked, RefundAgain, PaymentDecider.NotFound },

        { Requested, Request, null },
        { Requested, Cancel, new RefundRequested(Id) },
        { Requested, Charge, new PaymentAuthorized(Id, "ch_1", Amount) },
        { Requested, OtherCharge, new PaymentAuthorized(Id, "ch_2", Amount) },
        { Requested, Decline, new PaymentDeclined(Id, "card_declined") },
        { Requested, Refund, Contradiction },
        { Requested, RefundRefusal, Contradiction },
        { Requested, RefundAgain, PaymentDecider.NothingToRefund },

        { CancelledWhileCharging, Request, null },
        { CancelledWhileCharging, Cancel, null },
        { CancelledWhileCharging, Charge, new PaymentAuthorized(Id, "ch_1", Amount) },
        { CancelledWhileCharging, OtherCharge, new PaymentAuthorized(Id, "ch_2", Amount) },
        { CancelledWhileCharging, Decline, new PaymentVoided(Id) },
        { CancelledWhileCharging, Refund, Contradiction },
        { CancelledWhileCharging, RefundRefusal, Contradiction },
        { CancelledWhileCharging, RefundAgain, null },

        { Authorized, Request, null },
        { Authorized, Cancel, new RefundRequested(Id) },
        { Authorized, Charge, null },
        { Authorized, OtherCharge, Contradiction },
        { Authorized, Decline, Contradiction },
        { Authorized, Refund, Contradiction },
        { Authorized, RefundRefusal, Contradiction },
        { Authorized, RefundAgain, PaymentDecider.NothingToRefund },

        { RefundDue, Request, null },
        { RefundDue, Cancel, null },
        { RefundDue, Charge, null },
        { RefundDue, OtherCharge, Contradiction },
        { RefundDue, Decline, Contradiction },
        { RefundDue, Refund, new PaymentRefunded(Id, "re_1", Amount) },
        { RefundDue, RefundRefusal, new RefundRefused(Id, "ch_1", "charge-too-old") },
        { RefundDue, RefundAgain, null },

        { RefundBlocked, Request, null },
        { RefundBlocked, Cancel, null },
        { RefundBlocked, Charge, null },
        { RefundBlocked, OtherCharge, Contradiction },
        { RefundBlocked, Decline, Contradiction },
        { RefundBlocked, Refund, new PaymentRefunded(Id, "re_1", Amount) },
        { RefundBlocked, RefundRefusal, null },
        { RefundBlocked, RefundAgain, new RefundRequested(Id) },

        { Refunded, Request, null },
        { Refunded, Cancel, null },
        { Refunded, Charge, null },
        { Refunded, OtherCharge, Contradiction },
        { Refunded, Decline, Contradiction },
        { Refunded, Refund, null },
        { Refunded, RefundRefusal, null },
        { Refunded, RefundAgain, null },

        { Declined, Request, null },
        { Declined, Cancel, null },
        { Declined, Charge, Contradiction },
        { Declined, OtherCharge, Contradiction },
        { Declined, Decline, null },
        { Declined, Refund, Contradiction },
        { Declined, RefundRefusal, Contradiction },
        { Declined, RefundAgain, PaymentDecider.NothingToRefund },

        { Voided, Request, null },
        { Voided, Cancel, null },
        { Voided, Charge, Contradiction },
        { Voided, OtherCharge, Contradiction },
        { Voided, Decline, null },
        { Voided, Refund, Contradiction },
        { Voided, RefundRefusal, Contradiction },
        { Voided, RefundAgain, PaymentDecider.NothingToRefund },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void Every_pair_has_its_answer(Payment payment, PaymentCommand command, object? answer)
    {
        var decision = PaymentDecider.Decide(payment, command);

        Assert.Equal(answer as string, decision.Refusal?.Code);
        Assert.Equal(answer is PaymentEvent happened ? [happened] : [], decision.Events);
        // Whatever is decided can be folded.
        Assert.NotNull(decision.Events.Aggregate(payment, Payment.Evolve));
    }

    [Fact]
    public void The_table_holds_every_pair()
    {
        Assert.Equal(Payment.Category.Initial, NotAsked);
        Assert.Equal(Names(typeof(Payment).GetNestedTypes()), Names(Payments.Select(payment => payment.GetType())));
        Assert.Equal(Names(typeof(PaymentCommand).GetNestedTypes()), Names(Commands.Select(command => command.GetType())));
        Assert.Equal(
            Payments.SelectMany(payment => Commands.Select(command => (payment, command))).ToHashSet(),
            Table.Select(row => (row.Data.Item1, row.Data.Item2)).ToHashSet());

        static IEnumerable<string> Names(IEnumerable<Type> types) => types.Select(type => type.Name).Distinct().Order(StringComparer.Ordinal);
    }
}
