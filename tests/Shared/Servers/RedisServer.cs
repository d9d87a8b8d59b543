using System.Diagnostics;
using System.Globalization;

namespace DaprOrders.Tests.Servers;

/// <summary>A Redis of its own on a free port, gone with the object. One that keeps can be stopped or killed, and started again on what it has on disk.</summary>
public sealed class RedisServer : IServer
{
    private const int DatabaseCount = 512;

    private readonly string _directory;
    private readonly bool _keeps;
    private Process _process;
    private int _databases;

    private RedisServer(Process process, string directory, int port, bool keeps) => (_process, _directory, Port, _keeps) = (process, directory, port, keeps);

    /// <summary>Why there can be none here; null when there can.</summary>
    public static string? Missing => ServerProgram.Find("redis-server") is null ? "redis-server is not installed (apt-get install redis-server)" : null;

    public const string Host = "127.0.0.1";

    public int Port { get; }

    public string Address => $"{Host}:{Port}";

    /// <summary>The number of a database that nobody has used.</summary>
    public int NewDatabase() => Interlocked.Increment(ref _databases);

    /// <param name="keeps">Every write is in a file (appendonly); otherwise everything is in memory.</param>
    public static async Task<RedisServer> StartAsync(CancellationToken cancel, bool keeps = false)
    {
        var directory = Directory.CreateTempSubdirectory("redis-").FullName;
        var port = FreePort.Next();
        return new RedisServer(await RunAsync(directory, port, keeps, cancel), directory, port, keeps);
    }

    public Task StopAsync(CancellationToken cancel) => ServerProgram.TerminateAsync(_process, cancel);

    public async Task KillAsync(CancellationToken cancel)
    {
        _process.Kill();
        await _process.WaitForExitAsync(cancel);
    }

    public async Task StartAgainAsync(CancellationToken cancel)
    {
        using var before = _process;
        _process = await RunAsync(_directory, Port, _keeps, cancel);
    }

    /// <summary>Kills it and starts it again: one that does not keep has forgotten its data and what it was set to.</summary>
    public async Task RestartAsync(CancellationToken cancel)
    {
        await KillAsync(cancel);
        await StartAgainAsync(cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync(CancellationToken.None);
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static Task<Process> RunAsync(string directory, int port, bool keeps, CancellationToken cancel) => ServerProgram.StartAsync(
        ServerProgram.Find("redis-server")!,
        [
            "--port", port.ToString(CultureInfo.InvariantCulture), "--bind", Host, "--dir", directory, "--save", "", "--appendonly", keeps ? "yes" : "no",
            "--databases", DatabaseCount.ToString(CultureInfo.InvariantCulture),
        ],
        "Ready to accept connections",
        cancel);
}
