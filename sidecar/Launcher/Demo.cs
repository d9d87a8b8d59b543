namespace DaprOrders.Sidecar.Launcher;

/// <summary>Orders of every kind through the public HTTP API, each with its timeline.</summary>
internal static class Demo
{
    public static Task<int> RunAsync(LaunchOptions options, LaunchConsole console, CancellationToken cancellationToken) =>
        Launch.RunAsync(options, console, cancellationToken);
}
