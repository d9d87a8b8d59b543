using DaprOrders.Contracts;
using DaprOrders.Payments.Payments;

namespace DaprOrders.Payments.Tests;

/// <summary>Every pair of a payment's status and a command has a defined answer.</summary>
public sealed class PaymentDeciderTests
{
    private const string Id = "o-1";
    private const string Contradiction = "payment-contradiction";

    private static readonly Money s_amount = new(19.00m, "EUR");

    private static readonly Payment s_notAsked = new Payment.NotAsked();
    private static readonly Payment s_requested = new Payment.Requested(s_amount, "pm_card_ok");
    private static readonly Payment s_cancelledWhileCharging = new Payment.CancelledWhileCharging(s_amount, "pm_card_ok");
    private static readonly Payment s_authorized = new Payment.Authorized("ch_1", s_amount);
    private static readonly Payment s_refundDue = new Payment.RefundDue("ch_1", s_amount);
    private static readonly Payment s_refunded = new Payment.Refunded("ch_1", s_amount);
    private static readonly Payment s_declined = new Payment.Declined();
    private static readonly Payment s_voided = new Payment.Voided();

    private static readonly PaymentCommand s_request = new PaymentCommand.Request(Id, s_amount, "pm_card_ok");
    private static readonly PaymentCommand s_cancel = new PaymentCommand.Cancel(Id);
    private static readonly PaymentCommand s_charge = new PaymentCommand.RecordCharge(Id, "ch_1");
    private static readonly PaymentCommand s_otherCharge = new PaymentCommand.RecordCharge(Id, "ch_2");
    private static readonly PaymentCommand s_decline = new PaymentCommand.RecordDecline(Id, "card_declined");
    private static readonly PaymentCommand s_refund = new PaymentCommand.RecordRefund(Id, "re_1");

    private static readonly Payment[] s_payments =
        [s_notAsked, s_requested, s_cancelledWhileCharging, s_authorized, s_refundDue, s_refunded, s_declined, s_voided];

    private static readonly PaymentCommand[] s_commands = [s_request, s_cancel, s_charge, s_otherCharge, s_decline, s_refund];

    /// <summary>Status, command, and the answer: an event, null for nothing, or the code of a refusal.</summary>
    public static TheoryData<Payment, PaymentCommand, object?> Table => new()
    {
        { s_notAsked, s_request, new PaymentRequested(Id, s_amount, "pm_card_ok") },
        { s_notAsked, s_cancel, new PaymentVoided(Id) },
        { s_notAsked, s_charge, Contradiction },
        { s_notAsked, s_otherCharge, Contradiction },
        { s_notAsked, s_decline, Contradiction },
        { s_notAsked, s_refund, Contradiction },

        { s_requested, s_request, null },
        { s_requested, s_cancel, new RefundRequested(Id) },
        { s_requested, s_charge, new PaymentAuthorized(Id, "ch_1", s_amount) },
        { s_requested, s_otherCharge, new PaymentAuthorized(Id, "ch_2", s_amount) },
        { s_requested, s_decline, new PaymentDeclined(Id, "card_declined") },
        { s_requested, s_refund, Contradiction },

        { s_cancelledWhileCharging, s_request, null },
        { s_cancelledWhileCharging, s_cancel, null },
        { s_cancelledWhileCharging, s_charge, new PaymentAuthorized(Id, "ch_1", s_amount) },
        { s_cancelledWhileCharging, s_otherCharge, new PaymentAuthorized(Id, "ch_2", s_amount) },
        { s_cancelledWhileCharging, s_decline, new PaymentVoided(Id) },
        { s_cancelledWhileCharging, s_refund, Contradiction },

        { s_authorized, s_request, null },
        { s_authorized, s_cancel, new RefundRequested(Id) },
        { s_authorized, s_charge, null },
        { s_authorized, s_otherCharge, Contradiction },
        { s_authorized, s_decline, Contradiction },
        { s_authorized, s_refund, Contradiction },

        { s_refundDue, s_request, null },
        { s_refundDue, s_cancel, null },
        { s_refundDue, s_charge, null },
        { s_refundDue, s_otherCharge, Contradiction },
        { s_refundDue, s_decline, Contradiction },
        { s_refundDue, s_refund, new PaymentRefunded(Id, "re_1", s_amount) },

        { s_refunded, s_request, null },
        { s_refunded, s_cancel, null },
        { s_refunded, s_charge, null },
        { s_refunded, s_otherCharge, Contradiction },
        { s_refunded, s_decline, Contradiction },
        { s_refunded, s_refund, null },

        { s_declined, s_request, null },
        { s_declined, s_cancel, null },
        { s_declined, s_charge, Contradiction },
        { s_declined, s_otherCharge, Contradiction },
        { s_declined, s_decline, null },
        { s_declined, s_refund, Contradiction },

        { s_voided, s_request, null },
        { s_voided, s_cancel, null },
        { s_voided, s_charge, Contradiction },
        { s_voided, s_otherCharge, Contradiction },
        { s_voided, s_decline, null },
        { s_voided, s_refund, Contradiction },
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
        Assert.Equal(Payment.Category.Initial, s_notAsked);
        Assert.Equal(Names(typeof(Payment).GetNestedTypes()), Names(s_payments.Select(payment => payment.GetType())));
        Assert.Equal(Names(typeof(PaymentCommand).GetNestedTypes()), Names(s_commands.Select(command => command.GetType())));
        Assert.Equal(
            s_payments.SelectMany(payment => s_commands.Select(command => (payment, command))).ToHashSet(),
            Table.Select(row => (row.Data.Item1, row.Data.Item2)).ToHashSet());

        static IEnumerable<string> Names(IEnumerable<Type> types) => types.Select(type => type.Name).Distinct().Order(StringComparer.Ordinal);
    }
}
