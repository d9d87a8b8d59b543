using System.Diagnostics;
using System.Globalization;

namespace DaprOrders.Tests.Servers;

/// <summary>
/// librdkafka's imitation of a Kafka broker (one, 4 partitions a topic) in a process of its own, gone with the object. It has nothing on disk: killed, and
/// started again at its address, it is empty. A cable leads to it.
/// </summary>
public sealed class KafkaServer : IServer
{
    public const string Host = "127.0.0.1";

    private Process _process;

    private KafkaServer(Process process, Cable cable) => (_process, Cable) = (process, cable);

    public Cable Cable { get; }

    public string Address => string.Create(CultureInfo.InvariantCulture, $"{Host}:{Cable.Port}");

    public static async Task<KafkaServer> StartAsync(CancellationToken cancel)
    {
        var cable = new Cable();
        return new KafkaServer(await RunAsync(cable, cancel), cable);
    }

    /// <summary>
    /// It is cut off, and goes on: stopped it would be empty, which is no restart of a Kafka. So what its clients meet is a broker that is gone and comes back
    /// with all that it had; how one comes up again is not tried.
    /// </summary>
    public Task StopAsync(CancellationToken cancel)
    {
        Cable.Cut();
        return Task.CompletedTask;
    }

    public async Task KillAsync(CancellationToken cancel)
    {
        _process.Kill();
        await _process.WaitForExitAsync(cancel);
    }

    /// <summary>Killed, it is empty.</summary>
    public async Task StartAgainAsync(CancellationToken cancel)
    {
        if (_process.HasExited)
        {
            using var before = _process;
            _process = await RunAsync(Cable, cancel);
        }

        Cable.Mend();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync(CancellationToken.None);
        _process.Dispose();
        await Cable.DisposeAsync();
    }

    private static async Task<Process> RunAsync(Cable cable, CancellationToken cancel)
    {
        var start = ServerProgram.Info(
            "dotnet", [Path.Combine(AppContext.BaseDirectory, "DaprOrders.KafkaMock.dll"), cable.Port.ToString(CultureInfo.InvariantCulture)]);
        // It ends with this process, too.
        start.RedirectStandardInput = true;
        start.RedirectStandardError = false;
        var process = Process.Start(start)!;
        var port = await process.StandardOutput.ReadLineAsync(cancel);
        cable.LeadTo(int.Parse(port ?? throw new InvalidOperationException("the imitation of Kafka ended at once"), CultureInfo.InvariantCulture));
        return process;
    }
}
