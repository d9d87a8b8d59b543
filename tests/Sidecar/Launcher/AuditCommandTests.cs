using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>What the audit says of a system that is not there; of one that runs the end-to-end tests ask it.</summary>
public sealed class AuditCommandTests : IDisposable
{
    private static readonly string[] Apps = ["ordering", "inventory", "payments", "shipping", "reporting", "payment-provider"];

    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task Where_nothing_runs_it_says_so_at_once_and_fails()
    {
        _workspace.WithApps(string.Concat(Apps.Select(app => $"- {{appID: {app}, appDirPath: one, appPort: {FreePort.Next()}}}\n")));

        Assert.Equal(1, await RunAsync());

        Assert.Contains("There is no running system to audit", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_file_without_the_shops_apps_is_told()
    {
        _workspace.WithApps("- {appID: ordering, appDirPath: one, appPort: 5101}\n");

        Assert.Equal(1, await RunAsync());

        Assert.Contains("The audit needs an app \"payment-provider\" with an appPort", _workspace.Shown, StringComparison.Ordinal);
    }

    private Task<int> RunAsync() => AuditCommand.RunAsync(_workspace.RunFile, TimeSpan.FromSeconds(1), _workspace.Console, TestContext.Current.CancellationToken);
}
