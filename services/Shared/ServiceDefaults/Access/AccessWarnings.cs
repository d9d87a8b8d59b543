using DaprOrders.EventSourcing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>Tells at the start what is left open. On this machine alone nothing of it is needed.</summary>
internal sealed class AccessWarnings(IConfiguration configuration, EventSigning signing, Authentication authentication, ILogger<AccessWarnings> logger) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!authentication.IsOn)
            logger.LogWarning("Nobody has to say who they are: whoever reaches this service may do everything. Set Auth:Authority to ask for tokens");
        if (ListeningBeyondLoopback.AddressOf(configuration) is not { } address)
            return Task.CompletedTask;

        if (!signing.IsOn)
            logger.LogWarning(
                "Listening on {Address} without {Setting}: events are not signed, and whoever reaches the broker or a sidecar can make some up", address, EventSigning.Setting);
        if (AppToken.Of(configuration) is null)
            logger.LogWarning(
                "Listening on {Address} without {Setting}: whoever reaches this service can call what is the sidecar's or another service's", address, AppToken.Setting);
        return Task.CompletedTask;
    }
}
