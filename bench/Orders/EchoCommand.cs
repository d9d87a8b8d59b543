using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace DaprOrders.Bench.Orders;

internal static class EchoCommand
{
    private static readonly Option<int> Port = new("--port") { Description = "0 picks a free port", DefaultValueFactory = _ => 5100 };

    public static Command Create()
    {
        var command = new Command("echo", "Serves the baseline: POST /orders answers 201 with an order's JSON, and nothing is kept") { Port };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            await using var app = Echo.Build(parsed.GetValue(Port));
            await app.StartAsync(cancellationToken);

            // The first line is the address: a caller that asked for a free port reads it.
            Console.WriteLine(app.Urls.First());
            await app.WaitForShutdownAsync(cancellationToken);
        });
        return command;
    }
}

/// <summary>The echo in a process of its own, as the services are.</summary>
internal sealed class EchoProcess : IDisposable
{
    private readonly Process _process;

    private EchoProcess(Process process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    public static async Task<EchoProcess> StartAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("dotnet", [Assembly.GetExecutingAssembly().Location, "echo", "--port", 0.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
        };
        var process = Process.Start(start) ?? throw new InvalidOperationException("The echo was not started.");
        var address = await process.StandardOutput.ReadLineAsync(cancellationToken)
            ?? throw new InvalidOperationException("The echo ended before it told its address.");
        return new EchoProcess(process, new Uri(address));
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }
}
