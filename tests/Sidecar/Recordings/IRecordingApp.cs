namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>An application of a scenario.</summary>
public interface IRecordingApp : IAsyncDisposable
{
    Task StartAsync(CancellationToken cancel);

    /// <summary>As a process that ends: the port refuses at once, and what is being handled is cut off.</summary>
    Task StopAsync();
}
