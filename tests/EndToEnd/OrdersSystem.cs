using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>All services as processes of their own under the launcher, as a user starts them; driven over HTTP only.</summary>
public sealed class OrdersSystem : IAsyncLifetime
{
    private static readonly TimeSpan StartWithin = TimeSpan.FromMinutes(2);

    private static readonly string SigningKey = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    private readonly Installation _installation = new();
    private readonly ConcurrentQueue<string> _output = [];
    private Process? _launcher;

    public Shop Shop { get; private set; } = null!;

    public string Output => string.Join(Environment.NewLine, _output);

    public async ValueTask InitializeAsync()
    {
        Shop = new Shop(_installation.DaprOf, _installation.PaymentProvider);
        await StartAsync();
    }

    public async Task StartAsync()
    {
        var start = new ProcessStartInfo("dotnet", [Installation.Sidecar, "--run-file", _installation.RunFile])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _installation.Folder,
            Environment = { ["EVENTS_SIGNING_KEY"] = SigningKey },
        };
        _launcher = Process.Start(start) ?? throw new InvalidOperationException("The launcher was not started.");
        _launcher.OutputDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _launcher.ErrorDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _launcher.BeginOutputReadLine();
        _launcher.BeginErrorReadLine();

        await Until.TrueAsync(
            async () => _launcher.HasExited
                ? throw new InvalidOperationException($"The launcher ended with {_launcher.ExitCode}:{Environment.NewLine}{Output}")
                : await Shop.IsReadyAsync(),
            StartWithin,
            () => $"Not every service became ready within {StartWithin}:{Environment.NewLine}{Output}");
    }

    /// <summary>kill -9 of the launcher, its sidecars and every service, all at once.</summary>
    public async Task KillAsync()
    {
        _launcher!.Kill(entireProcessTree: true);
        await _launcher.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_launcher is { HasExited: false })
        {
            await KillAsync();
        }

        _launcher?.Dispose();
        Shop?.Dispose();
        _installation.Dispose();
    }
}
