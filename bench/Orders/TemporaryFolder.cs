namespace DaprOrders.Bench.Orders;

/// <summary>Where a system keeps what it is started for.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("daprorders-bench-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
