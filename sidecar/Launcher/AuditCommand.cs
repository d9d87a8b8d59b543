using System.CommandLine.Parsing;
using DaprOrders.Audit;

namespace DaprOrders.Sidecar.Launcher;

/// <param name="RunFile">Null: the one that is found, for what has no address of its own.</param>
/// <param name="Addresses">By app id.</param>
/// <param name="HasLedger">False: the payment company has none that could be read.</param>
internal sealed record AuditOptions(string? RunFile, TimeSpan Wait, IReadOnlyDictionary<string, Uri> Addresses, bool HasLedger);

/// <summary>Audits the system that runs on the ports of a run file, or at addresses that are named, whoever started it: this launcher, <c>dapr run</c>, a cluster.</summary>
internal static class AuditCommand
{
    /// <summary>Another than that of a system in which something does not hold, for scripts to tell them apart.</summary>
    private const int CannotLook = 2;

    private const string PaymentProvider = "payment-provider";

    public static Task<int> RunAsync(AuditOptions options, LaunchConsole console, CancellationToken cancellationToken) =>
        Launch.GuardAsync(console, async () =>
        {
            var runFile = new Lazy<RunFile>(() => RunFileReader.Read(options.RunFile ?? LaunchPlan.FindRunFile()));
            var credentials = SystemUnderAudit.Credentials(Environment.GetEnvironmentVariable("APP_API_TOKEN"), Environment.GetEnvironmentVariable("AUDIT_BEARER_TOKEN"));
            using var system = new SystemUnderAudit(AddressOf, options.HasLedger ? AddressOf(PaymentProvider) : null, credentials);
            try
            {
                await system.RequireAnswersAsync(cancellationToken);
            }
            catch (AuditException e)
            {
                throw new LaunchException($"The system cannot be audited: {e.Message} Where it does not run, dotnet run --project sidecar starts it; where it asks who asks, AUDIT_BEARER_TOKEN is an operator's token.", e);
            }

            var report = await new SystemAudit(system).RunAsync(options.Wait, AuditKnowledge.None, cancellationToken);
            foreach (var line in report.ToString().Split(Environment.NewLine))
                console.Line(line);
            if (report.Holds)
                console.Good("holds", $"all of it, after {report.Took.TotalSeconds:0.0} s");
            else
                console.Error($"not everything holds after {report.Took.TotalSeconds:0.0} s; --wait SECONDS gives the flow longer to come to rest");
            return report.Holds ? 0 : 1;

            Uri AddressOf(string appId) => options.Addresses.GetValueOrDefault(appId) ?? AddressIn(runFile.Value, appId);
        }, cancellationToken, failed: CannotLook);

    /// <summary>Of options such as <c>ordering=http://localhost:15101</c>.</summary>
    public static Dictionary<string, Uri> ReadAddresses(ArgumentResult argument)
    {
        string[] known = [.. SystemUnderAudit.Services, PaymentProvider];
        var addresses = new Dictionary<string, Uri>(StringComparer.Ordinal);
        foreach (var token in argument.Tokens)
        {
            if (token.Value.Split('=', 2) is [var app, var address] && known.Contains(app)
                && Uri.TryCreate($"{address.TrimEnd('/')}/", UriKind.Absolute, out var url) && url.Scheme is "http" or "https")
                addresses[app] = url;
            else
                argument.AddError($"Expected APP=URL such as ordering=http://localhost:5101, with one of {string.Join(", ", known)}; got '{token.Value}'.");
        }

        return addresses;
    }

    /// <summary>Each service itself: an audit needs no sidecar, and no token of one.</summary>
    private static Uri AddressIn(RunFile runFile, string appId) =>
        runFile.Apps.FirstOrDefault(app => app.AppId == appId) is { AppPort: > 0 } found
            ? new Uri($"http://localhost:{found.AppPort}/")
            : throw new LaunchException($"The audit needs an app \"{appId}\" with an appPort in {runFile.Path}, or its address: --address {appId}=URL");
}
