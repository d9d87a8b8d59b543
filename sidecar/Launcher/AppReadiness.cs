using EmbeddedSidecar.Hosting;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// When an app can take work: as for daprd, when its port accepts, the health check that the run file asks for succeeds, and it was asked for its
/// configuration and subscriptions, whatever it answered. No app gets a call for the launcher's sake.
/// </summary>
internal static class AppReadiness
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan TellAfter = TimeSpan.FromSeconds(20);

    /// <summary>Waits as long as it takes; <paramref name="tell"/> hears once what is being waited for.</summary>
    public static async Task WaitAsync(RunApp app, Task ready, Action<string> tell, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            await ready.WaitAsync(TellAfter, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            tell(await WhyNotAsync(app, cancellationToken));
            await ready.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Waits until an app that was started again can be called.</summary>
    public static async Task WaitForReturnAsync(RunApp app, SidecarRuntime sidecar, CancellationToken cancellationToken)
    {
        if (sidecar.App is not { } channel)
            return;
        using var timer = new PeriodicTimer(Interval);
        while (!channel.IsHealthy || !await AppChannel.AcceptsAsync(app.Host, app.AppPort, cancellationToken))
            await timer.WaitForNextTickAsync(cancellationToken);
    }

    private static async Task<string> WhyNotAsync(RunApp app, CancellationToken cancellationToken)
    {
        if (app.AppPort == 0)
            return "its sidecar still starts its work";
        var host = app.Host;
        if (await AppChannel.AcceptsAsync(host, app.AppPort, cancellationToken))
        {
            return app.AppHealthCheck is { } check
                ? $"its health check, GET {check.Path} on port {app.AppPort}, does not succeed"
                : $"it listens on port {app.AppPort} and does not answer GET /dapr/config and GET /dapr/subscribe";
        }

        var other = host == "::1" ? "127.0.0.1" : "::1";
        return await AppChannel.AcceptsAsync(other, app.AppPort, cancellationToken)
            ? $"nothing listens on {host} port {app.AppPort}, but something on {other}: Dapr reaches it with appChannelAddress: \"{other}\""
            : $"nothing listens on port {app.AppPort}, neither on {host} nor on {other}";
    }
}
