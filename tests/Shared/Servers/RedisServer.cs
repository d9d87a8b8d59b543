using System.Diagnostics;
using System.Globalization;

namespace DaprOrders.Tests.Servers;

/// <summary>A Redis of its own on a free port, gone with the object.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private const int DatabaseCount = 512;

    private Process _process;
    private readonly string _directory;
    private int _databases;

    private RedisServer(Process process, string directory, int port) => (_process, _directory, Port) = (process, directory, port);

    /// <summary>Why there can be none here; null when there can.</summary>
    public static string? Missing => ServerProgram.Find("redis-server") is null ? "redis-server is not installed (apt-get install redis-server)" : null;

    public const string Host = "127.0.0.1";

    public int Port { get; }

    public string Address => $"{Host}:{Port}";

    /// <summary>The number of a database that nobody has used.</summary>
    public int NewDatabase() => Interlocked.Increment(ref _databases);

    public static async Task<RedisServer> StartAsync(CancellationToken cancel)
    {
        var directory = Directory.CreateTempSubdirectory("redis-").FullName;
        var port = FreePort.Next();
        return new RedisServer(await StartAsync(directory, port, cancel), directory, port);
    }

    /// <summary>Kills it and starts it again: it has forgotten its data and what it was set to.</summary>
    public async Task RestartAsync(CancellationToken cancel)
    {
        await EndAsync();
        _process = await StartAsync(_directory, Port, cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static Task<Process> StartAsync(string directory, int port, CancellationToken cancel)
    {
        string[] arguments =
        [
            "--port", port.ToString(CultureInfo.InvariantCulture), "--bind", Host, "--dir", directory, "--save", "", "--appendonly", "no",
            "--databases", DatabaseCount.ToString(CultureInfo.InvariantCulture),
        ];
        return ServerProgram.StartAsync(ServerProgram.Find("redis-server")!, arguments, "Ready to accept connections", cancel);
    }

    private async Task EndAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
