using System.Diagnostics;

namespace DaprOrders.Audit;

/// <summary>
/// Whether what must hold of the whole system does, by its HTTP APIs alone and for all orders there are. It waits for the flow to come to
/// rest, then looks at everything, and makes sure that nothing moved meanwhile. One instance remembers what it has read: asked again, after
/// a crash say, it notices what is another now, or is gone.
/// </summary>
public sealed class SystemAudit
{
    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromMilliseconds(500);

    private readonly SystemUnderAudit _system;
    private readonly EventLog[] _logs;
    private readonly EventLog _ordering;
    private readonly EventLog _inventory;
    private readonly EventLog _payments;

    public SystemAudit(SystemUnderAudit system)
    {
        _system = system;
        _ordering = new(system, SystemUnderAudit.Ordering);
        _inventory = new(system, SystemUnderAudit.Inventory);
        _payments = new(system, SystemUnderAudit.Payments);
        _logs = [_ordering, _inventory, _payments, new(system, SystemUnderAudit.Shipping)];
    }

    /// <param name="wait">How long the flow may take to come to rest, and the read models to follow.</param>
    /// <param name="knowledge">What the caller knows by itself and must find.</param>
    /// <param name="cancellationToken">Gives the audit up.</param>
    public async Task<AuditReport> RunAsync(TimeSpan wait, AuditKnowledge knowledge, CancellationToken cancellationToken)
    {
        var began = Stopwatch.StartNew();
        while (true)
        {
            var isLast = began.Elapsed >= wait;
            var rest = await CheckAsync("The event logs can be read and come to rest", ReadOnAsync, cancellationToken);
            var orders = _ordering.OfCategory("order").Select(order => OrderStory.Of(order.Id, order.Events)).ToDictionary(order => order.Id);
            // Nothing else can hold before, and to look costs calls that those who are still at work need.
            if (isLast || (rest.Holds && orders.Values.All(order => order.IsFinal)))
            {
                List<AuditCheck> checks = [rest, .. await LookAsync(orders, knowledge, cancellationToken)];
                if (isLast || (checks.TrueForAll(check => check.Holds) && !await HasMovedAsync(cancellationToken)))
                {
                    checks.Add(await CheckAsync("What was read is read again unchanged", ReadAgainAsync, cancellationToken));
                    return new(checks, began.Elapsed);
                }
            }

            await Task.Delay(LookAgainAfter, cancellationToken);
        }
    }

    private async Task<IReadOnlyList<AuditCheck>> LookAsync(
        Dictionary<string, OrderStory> orders, AuditKnowledge knowledge, CancellationToken cancellationToken) =>
    [
        new("Every stream has the versions 1 to n", $"{_logs.Sum(log => log.Streams.Count)} streams", [.. _logs.SelectMany(log => log.Gaps)]),
        new(
            "Every order that was acknowledged exists",
            knowledge.Acknowledged.Count == 0 ? AuditReport.NotLookedAt : Count(knowledge.Acknowledged.Count, "order"),
            [.. knowledge.Acknowledged.Where(id => !orders.ContainsKey(id)).Select(id => $"order {id} was acknowledged and is not in the log of Ordering")]),
        new(
            "Every order is shipped or cancelled",
            Count(orders.Count, "order"),
            [.. orders.Values.SelectMany(order => order.Violations), .. orders.Values.Where(order => !order.IsFinal).Select(order => $"order {order.Id} is {order.Status}")]),
        await CheckAsync(
            "Ordering shows every order as its events tell it",
            (violations, cancel) => OrderChecks.ShownAsToldAsync(_system, _ordering, orders, violations, cancel),
            cancellationToken),
        await CheckAsync(
            "Received = on hand + shipped, nothing reserved",
            (violations, cancel) => StockChecks.AddsUpAsync(_system, _inventory, orders, knowledge.Received, violations, cancel),
            cancellationToken),
        await CheckAsync(
            "Charged once, and refunded once if cancelled",
            (violations, cancel) => LedgerChecks.ChargedOnceAsync(_system, orders, violations, cancel),
            cancellationToken),
        await CheckAsync(
            "Reporting's lists are a fold of all streams",
            (violations, cancel) => ReportChecks.ListsAsync(_system, orders, _inventory, _payments, violations, cancel),
            cancellationToken),
        await CheckAsync(
            "Reporting's sums are a fold of all streams",
            (violations, cancel) => ReportChecks.SumsAsync(_system, orders, violations, cancel),
            cancellationToken),
        await CheckAsync("No service has dead letters", ReadDeadLettersAsync, cancellationToken),
    ];

    private async Task<string> ReadOnAsync(List<string> violations, CancellationToken cancellationToken)
    {
        await HasMovedAsync(cancellationToken);
        return Count(_logs.Sum(log => log.Count), "event");
    }

    private async Task<bool> HasMovedAsync(CancellationToken cancellationToken)
    {
        var moved = false;
        foreach (var log in _logs)
            moved |= await log.ReadOnAsync(cancellationToken);
        return moved;
    }

    private async Task<string> ReadAgainAsync(List<string> violations, CancellationToken cancellationToken)
    {
        foreach (var log in _logs)
        {
            await log.ReadAgainAsync(cancellationToken);
            violations.AddRange(log.Violations);
        }

        return Count(_logs.Sum(log => log.Count), "event");
    }

    private async Task<string> ReadDeadLettersAsync(List<string> violations, CancellationToken cancellationToken)
    {
        foreach (var service in SystemUnderAudit.Services)
        {
            foreach (var letter in await _system.ReadPagesAsync(service, "dead-letters?limit=100", "deadLetters", "cursor", "cursor", cancellationToken))
                violations.Add($"{service} has the dead letter {letter.GetProperty("id")}, event {letter.GetProperty("eventId")}: {letter.GetProperty("error")}");
        }

        return Count(SystemUnderAudit.Services.Count, "service");
    }

    /// <summary>A check that answers what it looked at; what cannot be read speaks against the invariant.</summary>
    private static async Task<AuditCheck> CheckAsync(
        string invariant, Func<List<string>, CancellationToken, Task<string>> look, CancellationToken cancellationToken)
    {
        var violations = new List<string>();
        try
        {
            return new(invariant, await look(violations, cancellationToken), violations);
        }
        catch (AuditException e)
        {
            violations.Add(e.Message);
            return new(invariant, "", violations);
        }
    }

    internal static string Count(long number, string what) => FormattableString.Invariant($"{number:N0} {what}{(number == 1 ? "" : "s")}");
}
