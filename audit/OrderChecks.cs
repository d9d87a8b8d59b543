using System.Text.Json;

namespace DaprOrders.Audit;

internal static class OrderChecks
{
    private const int AtOnce = 8;

    /// <summary>
    /// The API reads an order from its stream; the log tells the same events from its lanes. Both must agree, in the order's state and event by
    /// event.
    /// </summary>
    public static async Task<string> ShownAsToldAsync(
        SystemUnderAudit system, EventLog log, IReadOnlyDictionary<string, OrderStory> orders, List<string> violations, CancellationToken cancellationToken)
    {
        await Parallel.ForEachAsync(
            orders.Values,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken },
            async (order, cancel) =>
            {
                var shown = await system.GetAsync(SystemUnderAudit.Ordering, $"orders/{order.Id}", cancel);
                var events = await system.GetAsync(SystemUnderAudit.Ordering, $"orders/{order.Id}/events", cancel);
                var differences = Differences(order, shown).Concat(Differences(order.Id, log.Of($"order-{order.Id}"), events)).ToList();
                if (differences.Count == 0)
                    return;
                lock (violations)
                    violations.AddRange(differences);
            });
        return SystemAudit.Count(orders.Count, "order");
    }

    /// <summary>Between an order's events and a view of it, Ordering's or Reporting's.</summary>
    public static IEnumerable<string> Differences(OrderStory order, JsonElement shown)
    {
        var cancellation = shown.GetProperty("cancellation");
        var shipment = shown.GetProperty("shipment");
        (string What, object? Told, object? Shown)[] all =
        [
            ("customer", order.CustomerId, shown.GetProperty("customerId").GetString()),
            ("status", order.Status, shown.GetProperty("status").GetString()),
            ("version", order.Version, shown.GetProperty("version").GetInt64()),
            ("total", order.Total, Amount.Of(shown.GetProperty("total"))),
            ("lines", string.Join(", ", order.Lines), string.Join(", ", shown.GetProperty("lines").EnumerateArray().Select(Line.Of))),
            ("reason", order.Reason, cancellation.ValueKind == JsonValueKind.Null ? null : cancellation.GetProperty("reason").GetString()),
            ("tracking number", order.TrackingNumber, shipment.ValueKind == JsonValueKind.Null ? null : shipment.GetProperty("trackingNumber").GetString()),
            ("creation", order.CreatedAt, (DateTimeOffset?)shown.GetProperty("createdAt").GetDateTimeOffset()),
        ];
        return all.Where(one => !Equals(one.Told, one.Shown)).Select(one => $"order {order.Id}: its events tell the {one.What} {one.Told ?? "none"}, it is shown with {one.Shown ?? "none"}");
    }

    private static IEnumerable<string> Differences(string id, IReadOnlyCollection<LoggedEvent> told, JsonElement shown)
    {
        var events = shown.EnumerateArray().ToDictionary(happened => happened.GetProperty("version").GetInt64());
        return told.Where(happened => !events.TryGetValue(happened.Version, out var one) || !IsSame(happened, one))
            .Select(happened => $"order {id}: the log has {happened.Text}, the order's events do not")
            .Concat(events.Count > told.Count ? [$"order {id} has {events.Count} events, and {told.Count} of them are in the log"] : []);
    }

    private static bool IsSame(LoggedEvent told, JsonElement shown) =>
        told.Type == shown.GetProperty("type").GetString()
        && told.OccurredAt == shown.GetProperty("occurredAt").GetDateTimeOffset()
        && JsonElement.DeepEquals(told.Data, shown.GetProperty("data"));
}
