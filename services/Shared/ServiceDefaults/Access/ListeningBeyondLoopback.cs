using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>Whether other machines reach this service, from where it is set to listen.</summary>
internal static class ListeningBeyondLoopback
{
    /// <summary>The first address that is none of this machine alone, or null.</summary>
    public static string? AddressOf(IConfiguration configuration)
    {
        // Kestrel's own section goes before the urls.
        var endpoints = configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]).OfType<string>().ToList();
        return (endpoints.Count > 0 ? endpoints : [.. (configuration["urls"] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries)])
            .FirstOrDefault(address => !IsLoopback(BindingAddress.Parse(address)));
    }

    private static bool IsLoopback(BindingAddress address) =>
        address.IsUnixPipe
        || address.IsNamedPipe
        || address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));
}
