namespace DaprOrders.Tests.Servers;

/// <summary>A server of a test's own, a process, that the test may take away from who uses it and bring back with what it has on disk.</summary>
public interface IServer : IAsyncDisposable
{
    /// <summary>As an operator does, with everything written down.</summary>
    Task StopAsync(CancellationToken cancel);

    /// <summary>As kill -9 does.</summary>
    Task KillAsync(CancellationToken cancel);

    /// <summary>At the same address.</summary>
    Task StartAgainAsync(CancellationToken cancel);
}
