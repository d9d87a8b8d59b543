using System.Net;
using System.Net.Sockets;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>What the user hears of an app that does not get ready.</summary>
public sealed class AppReadinessTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly TaskCompletionSource _ready = new();

    [Fact]
    public async Task A_port_on_which_nothing_listens_is_named_with_both_addresses_that_were_tried()
    {
        var port = FreePort.Next();

        Assert.Equal($"nothing listens on port {port}, neither on 127.0.0.1 nor on ::1", await ToldOfAsync(new() { AppPort = port, AppId = "a", AppDirPath = "", Location = default }));
    }

    [Fact]
    public async Task An_app_on_the_other_loopback_address_is_named_with_the_field_that_reaches_it()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "This machine has no IPv6.");
        using var app = new TcpListener(IPAddress.IPv6Loopback, 0);
        app.Start();
        var port = ((IPEndPoint)app.LocalEndpoint).Port;

        Assert.Equal(
            $"nothing listens on 127.0.0.1 port {port}, but something on ::1: Dapr reaches it with appChannelAddress: \"::1\"",
            await ToldOfAsync(new() { AppPort = port, AppId = "a", AppDirPath = "", Location = default }));
    }

    [Fact]
    public async Task A_health_check_that_fails_is_named_with_its_path()
    {
        using var app = new TcpListener(IPAddress.Loopback, 0);
        app.Start();
        var port = ((IPEndPoint)app.LocalEndpoint).Port;
        var check = new AppHealthCheck("/live", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 3);

        Assert.Equal(
            $"its health check, GET /live on port {port}, does not succeed",
            await ToldOfAsync(new() { AppPort = port, AppHealthCheck = check, AppId = "a", AppDirPath = "", Location = default }));
    }

    private async Task<string> ToldOfAsync(RunApp app)
    {
        var told = new TaskCompletionSource<string>();
        var waiting = AppReadiness.WaitAsync(app, _ready.Task, told.SetResult, _time, TestContext.Current.CancellationToken);

        _time.Advance(TimeSpan.FromSeconds(19));
        Assert.False(told.Task.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(2));
        var text = await told.Task.WaitAsync(TestContext.Current.CancellationToken);

        Assert.False(waiting.IsCompleted);
        _ready.SetResult();
        await waiting;
        return text;
    }
}
