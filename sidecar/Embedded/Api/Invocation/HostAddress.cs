using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>What the forwarding headers say of this machine.</summary>
internal static class HostAddress
{
    /// <summary>DAPR_HOST_IP, or the first address that others could reach; 127.0.0.1 on a machine without a network.</summary>
    public static string Ip { get; } = Environment.GetEnvironmentVariable("DAPR_HOST_IP") is { Length: > 0 } given ? given : FirstAddress();

    public static string Name { get; } = Dns.GetHostName();

    /// <summary>The value of the Forwarded header (RFC 7239).</summary>
    public static string Forwarded { get; } = $"for={Ip};by={Ip};host={Name}";

    private static string FirstAddress() => NetworkInterface.GetAllNetworkInterfaces()
        .Where(network => network.OperationalStatus == OperationalStatus.Up && network.NetworkInterfaceType != NetworkInterfaceType.Loopback)
        .SelectMany(network => network.GetIPProperties().UnicastAddresses)
        .FirstOrDefault(address => address.Address.AddressFamily == AddressFamily.InterNetwork)?.Address.ToString() ?? IPAddress.Loopback.ToString();
}
