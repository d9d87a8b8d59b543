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

        Assert.Equal(2, await RunAsync());

        Assert.Contains("The system cannot be audited", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_file_without_the_shops_apps_is_told()
    {
        _workspace.WithApps("- {appID: ordering, appDirPath: one, appPort: 5101}\n");

        Assert.Equal(2, await RunAsync());

        Assert.Contains("The audit needs an app \"payment-provider\" with an appPort", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_given_goes_before_the_run_file()
    {
        _workspace.WithApps("- {appID: one, appDirPath: one, appPort: 5101}\n");
        var given = Apps.ToDictionary(app => app, _ => new Uri($"http://127.0.0.1:{FreePort.Next()}/"));

        Assert.Equal(2, await RunAsync(given));

        Assert.Contains(given.Values, address => _workspace.Shown.Contains($"The system cannot be audited: GET {address}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_ledger_nobody_asks_where_the_payment_provider_is()
    {
        _workspace.WithApps(string.Concat(Apps[..5].Select(app => $"- {{appID: {app}, appDirPath: one, appPort: {FreePort.Next()}}}\n")));

        Assert.Equal(2, await RunAsync(hasLedger: false));

        Assert.Contains("The system cannot be audited", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_ended_does_not_look_like_one_that_holds()
    {
        _workspace.WithApps(string.Concat(Apps.Select(app => $"- {{appID: {app}, appDirPath: one, appPort: {FreePort.Next()}}}\n")));

        Assert.Equal(130, await RunAsync(cancellationToken: new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task One_that_is_asked_wrongly_does_not_look_like_one_that_found_something() =>
        Assert.Equal(2, await CommandLine.RunAsync(["audit", "--wait", "soon"]));

    private Task<int> RunAsync(Dictionary<string, Uri>? addresses = null, bool hasLedger = true, CancellationToken? cancellationToken = null) => AuditCommand.RunAsync(
        new(_workspace.RunFile, TimeSpan.FromSeconds(1), addresses ?? [], hasLedger), _workspace.Console, cancellationToken ?? TestContext.Current.CancellationToken);
}
