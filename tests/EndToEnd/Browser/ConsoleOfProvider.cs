using System.Diagnostics;
using System.Globalization;
using DaprOrders.Console.Tests;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests.Browser;

/// <summary>A console where people sign in at an OpenID provider; there are no services behind it.</summary>
internal sealed class ConsoleOfProvider : IAsyncDisposable
{
    private readonly Process _process;

    private ConsoleOfProvider(Process process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    public static async Task<ConsoleOfProvider> StartAsync(PlayedProvider provider)
    {
        var port = FreePort.Next().ToString(CultureInfo.InvariantCulture);
        var process = await ServerProgram.StartAsync("dotnet", [Installation.ProgramBuilt("Console")], "Application started", TestContext.Current.CancellationToken, new Dictionary<string, string>
        {
            ["APP_PORT"] = port,
            ["APP_API_TOKEN"] = "between-sidecars",
            ["Auth__Authority"] = provider.Address,
            ["Auth__Audience"] = PlayedProvider.Audience,
            ["Console__ClientId"] = PlayedProvider.ClientId,
        });
        return new(process, new($"http://localhost:{port}"));
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
