using DaprOrders.Audit;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>Audits the system that runs on the ports of a run file, whoever started it: this launcher, <c>dapr run</c>, or a debugger.</summary>
internal static class AuditCommand
{
    public static Task<int> RunAsync(string? path, TimeSpan wait, LaunchConsole console, CancellationToken cancellationToken) =>
        Launch.GuardAsync(console, async () =>
        {
            var runFile = RunFileReader.Read(path ?? LaunchPlan.FindRunFile());
            var credentials = SystemUnderAudit.Credentials(Environment.GetEnvironmentVariable("APP_API_TOKEN"), Environment.GetEnvironmentVariable("AUDIT_BEARER_TOKEN"));
            using var system = new SystemUnderAudit(app => AddressOf(runFile, app), AddressOf(runFile, "payment-provider"), credentials);
            try
            {
                await system.RequireAnswersAsync(cancellationToken);
            }
            catch (AuditException e)
            {
                throw new LaunchException($"There is no running system to audit: {e.Message} Start one first: dotnet run --project sidecar", e);
            }

            var report = await new SystemAudit(system).RunAsync(wait, AuditKnowledge.None, cancellationToken);
            foreach (var line in report.ToString().Split(Environment.NewLine))
                console.Line(line);
            if (report.Holds)
                console.Good("holds", $"all of it, after {report.Took.TotalSeconds:0.0} s");
            else
                console.Error($"not everything holds after {report.Took.TotalSeconds:0.0} s; --wait SECONDS gives the flow longer to come to rest");
            return report.Holds ? 0 : 1;
        }, cancellationToken);

    /// <summary>Each service itself: an audit needs no sidecar, and no token of one.</summary>
    private static Uri AddressOf(RunFile runFile, string appId) =>
        runFile.Apps.FirstOrDefault(app => app.AppId == appId) is { AppPort: > 0 } found
            ? new Uri($"http://localhost:{found.AppPort}/")
            : throw new LaunchException($"The audit needs an app \"{appId}\" with an appPort in {runFile.Path}.");
}
