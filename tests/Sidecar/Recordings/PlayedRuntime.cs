namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>What a recording is played against: one sidecar per app, embedded or a daprd.</summary>
public interface IPlayedRuntime : IAsyncDisposable
{
    Uri Http(string app);

    Uri Grpc(string app);

    /// <summary>Starts all sidecars; they need not be ready.</summary>
    Task StartAsync(CancellationToken cancel);

    /// <summary>Ends one sidecar gracefully.</summary>
    Task StopAsync(string app, CancellationToken cancel);

    /// <summary>Ends one sidecar as kill -9 does.</summary>
    Task KillAsync(string app, CancellationToken cancel);

    Task StartAgainAsync(string app, CancellationToken cancel);

    /// <summary>The sidecar ended by itself.</summary>
    bool HasEnded(string app);
}
