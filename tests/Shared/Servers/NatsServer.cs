using System.Diagnostics;
using System.Globalization;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace DaprOrders.Tests.Servers;

/// <summary>A NATS server of its own with JetStream, on a free port, gone with the object; it can be stopped or killed, and started again on its data.</summary>
public sealed class NatsServer : IServer
{
    private readonly string _directory;
    private Process _process;

    private NatsServer(Process process, string directory, int port) => (_process, _directory, Port) = (process, directory, port);

    /// <summary>Why there can be none here; null when there can.</summary>
    public static string? Missing => ServerProgram.Find("nats-server") is null ? "nats-server is not installed (apt-get install nats-server)" : null;

    public const string Host = "127.0.0.1";

    public int Port { get; }

    public string Url => $"nats://{Host}:{Port}";

    public static async Task<NatsServer> StartAsync(CancellationToken cancel)
    {
        var directory = Directory.CreateTempSubdirectory("nats-").FullName;
        var port = FreePort.Next();
        return new NatsServer(await RunAsync(directory, port, cancel), directory, port);
    }

    /// <summary>Streams on disk, one for each subject under its name, or all of them in the one that is named.</summary>
    public async Task AddStreamsAsync(IEnumerable<string> subjects, CancellationToken cancel, string? oneStream = null)
    {
        await using var connection = new NatsConnection(new NatsOpts { Url = Url });
        var jetStream = new NatsJSContext(connection);
        if (oneStream is not null)
            await jetStream.CreateStreamAsync(new StreamConfig(oneStream, [.. subjects]), cancel);
        else
            foreach (var subject in subjects)
                await jetStream.CreateStreamAsync(new StreamConfig(subject, [subject]), cancel);
    }

    /// <summary>As an operator does: it says good-bye to its clients.</summary>
    public async Task StopAsync(CancellationToken cancel)
    {
        await ServerProgram.RunAsync(
            ServerProgram.Find("nats-server")!, ["--signal", $"stop={_process.Id.ToString(CultureInfo.InvariantCulture)}"], cancel);
        await _process.WaitForExitAsync(cancel);
    }

    public async Task KillAsync(CancellationToken cancel)
    {
        _process.Kill();
        await _process.WaitForExitAsync(cancel);
    }

    public async Task StartAgainAsync(CancellationToken cancel)
    {
        using var before = _process;
        _process = await RunAsync(_directory, Port, cancel);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static Task<Process> RunAsync(string directory, int port, CancellationToken cancel) => ServerProgram.StartAsync(
        ServerProgram.Find("nats-server")!,
        ["--addr", Host, "--port", port.ToString(CultureInfo.InvariantCulture), "--jetstream", "--store_dir", directory],
        "Server is ready",
        cancel);
}
