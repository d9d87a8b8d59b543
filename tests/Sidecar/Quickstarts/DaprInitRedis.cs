using System.Diagnostics;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>A Redis where <c>dapr init</c> has one.</summary>
internal sealed class DaprInitRedis : IDisposable
{
    public const int Port = 6379;

    private readonly Process _process;

    private DaprInitRedis(Process process) => _process = process;

    /// <summary>Null: it is installed.</summary>
    public static string? Missing => ServerProgram.Find("redis-server") is null ? "redis-server is not installed" : null;

    public static async Task<DaprInitRedis> StartAsync(CancellationToken cancel)
    {
        string[] arguments = ["--port", $"{Port}", "--bind", "127.0.0.1", "--save", ""];
        return new(await ServerProgram.StartAsync(ServerProgram.Find("redis-server")!, arguments, "Ready to accept connections", cancel));
    }

    public void Dispose()
    {
        _process.Kill();
        // The next one takes the same port.
        _process.WaitForExit();
        _process.Dispose();
    }
}
