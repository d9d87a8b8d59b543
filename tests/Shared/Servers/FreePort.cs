using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace DaprOrders.Tests.Servers;

/// <summary>
/// Ports for what must know its port before it listens. Below the range from which systems give ports to outgoing connections, so that a
/// free one stays free until it is listened on; and no port twice in one run.
/// </summary>
internal static class FreePort
{
    private static readonly ConcurrentDictionary<int, bool> Given = new();

    public static int Next()
    {
        while (true)
        {
            var port = Random.Shared.Next(20_000, 30_000);
            if (Given.TryAdd(port, true) && IsFree(port))
                return port;
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
