using System.CommandLine;
using DaprOrders.Audit;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>A rate says nothing if orders were lost for it: the launcher's audit, behind a load, at the ports of dapr.yaml.</summary>
internal static class AuditBehind
{
    private const int PaymentProvider = 5199;

    private static readonly TimeSpan ComesToRestWithin = TimeSpan.FromMinutes(1);

    private static readonly Dictionary<string, int> Ports = new()
    {
        [SystemUnderAudit.Ordering] = 5101,
        [SystemUnderAudit.Inventory] = 5102,
        [SystemUnderAudit.Payments] = 5103,
        [SystemUnderAudit.Shipping] = 5104,
        [SystemUnderAudit.Reporting] = 5105,
    };

    /// <summary>It takes a second for some hundred orders, and a KB of memory for each event: so it has to be asked for.</summary>
    public static Option<bool> Wanted { get; } = new("--audit")
    {
        Description = "Audits the system afterwards, with all that its logs hold from earlier on; the exit code is 1 if anything does not hold",
    };

    /// <param name="acknowledged">Orders that were answered 201, as paths.</param>
    /// <returns>The exit code: 0 where no audit was asked for.</returns>
    public static async Task<int> RunAsync(ParseResult parsed, string host, IEnumerable<Placed> acknowledged, CancellationToken cancellationToken)
    {
        if (!parsed.GetValue(Wanted))
            return 0;

        var credentials = SystemUnderAudit.Credentials(Environment.GetEnvironmentVariable("APP_API_TOKEN"), Environment.GetEnvironmentVariable("AUDIT_BEARER_TOKEN"));
        using var system = new SystemUnderAudit(app => On(Ports[app]), On(PaymentProvider), credentials);
        var known = AuditKnowledge.None with { Acknowledged = [.. acknowledged.Select(order => order.Path[(order.Path.LastIndexOf('/') + 1)..])] };
        var report = await new SystemAudit(system).RunAsync(ComesToRestWithin, known, cancellationToken);
        Report.Line($"{report}");
        return report.Holds ? 0 : 1;

        Uri On(int port) => new($"http://{host}:{port}/");
    }
}
