using System.Text.Json;

namespace DaprOrders.Audit;

internal static class LedgerChecks
{
    /// <summary>
    /// The provider's own books: an order that was paid has one charge of its total, and one refund of as much if it was cancelled
    /// nevertheless. An order that never was paid has none of either, or both when the charge came too late.
    /// </summary>
    public static async Task<string> ChargedOnceAsync(
        SystemUnderAudit system, IReadOnlyDictionary<string, OrderStory> orders, List<string> violations, CancellationToken cancellationToken)
    {
        if (!system.HasLedger)
            return AuditReport.NotLookedAt;
        var ledger = await system.ReadLedgerAsync(cancellationToken);
        var byOrder = ledger.ToLookup(entry => entry.GetProperty("reference").GetString()!);
        foreach (var order in orders.Values)
        {
            var charges = byOrder[order.Id].Where(entry => IsOf(entry, "charge")).ToList();
            var refunds = byOrder[order.Id].Where(entry => IsOf(entry, "refund")).ToList();
            var isRight = (order.PaidAt, order.Status) switch
            {
                (not null, "cancelled") => (charges.Count, refunds.Count) is (1, 1),
                (not null, _) => (charges.Count, refunds.Count) is (1, 0),
                (null, "cancelled") => (charges.Count, refunds.Count) is (0, 0) or (1, 1),
                _ => (charges.Count, refunds.Count) is (0 or 1, 0),
            };
            if (!isRight)
                violations.Add($"order {order.Id}, {order.Status}{(order.PaidAt is null ? "" : " and paid")}, has {charges.Count} charges and {refunds.Count} refunds");
            violations.AddRange(byOrder[order.Id].Where(entry => AmountOf(entry) != order.Total)
                .Select(entry => $"order {order.Id} is about {order.Total}, and has a {entry.GetProperty("kind")} of {AmountOf(entry)}"));
            violations.AddRange(refunds.Where(refund => charges.TrueForAll(charge => charge.GetProperty("id").GetString() != refund.GetProperty("chargeId").GetString()))
                .Select(refund => $"order {order.Id} has the refund {refund.GetProperty("id")} of a charge that is not its own"));
        }

        violations.AddRange(byOrder.Where(entries => !orders.ContainsKey(entries.Key)).Select(entries => $"the provider has charges or refunds of {entries.Key}, which is no order"));
        return FormattableString.Invariant($"{ledger.Count:N0} charges and refunds");
    }

    private static bool IsOf(JsonElement entry, string kind) => entry.GetProperty("kind").GetString() == kind;

    private static Amount AmountOf(JsonElement entry) => new(entry.GetProperty("amount").GetDecimal(), entry.GetProperty("currency").GetString()!);
}
