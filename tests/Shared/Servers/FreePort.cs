using System.Net;
using System.Net.Sockets;

namespace DaprOrders.Tests.Servers;

/// <summary>
/// Ports for what must know its port before it listens. Below the range from which systems give ports to outgoing connections, so that a
/// free one stays free until it is listened on. No port is given twice, nor to two processes at once: whoever still asks for something at a port of the one
/// would be heard by the other. So a process takes a hundred at a time, and listens on the first of them for as long as it lives.
/// </summary>
internal static class FreePort
{
    private const int First = 20_000;
    private const int Hundreds = 100;
    private const int Hundred = 100;

    private static readonly Lock Taking = new();
    private static readonly List<TcpListener> Taken = [];
    private static int _next;
    private static int _end;

    public static int Next()
    {
        lock (Taking)
        {
            while (true)
            {
                if (_next == _end)
                    TakeHundred();
                var port = _next++;
                using var listener = TryListen(port);
                if (listener is not null)
                    return port;
            }
        }
    }

    private static void TakeHundred()
    {
        var hundreds = Enumerable.Range(0, Hundreds).ToArray();
        Random.Shared.Shuffle(hundreds);
        foreach (var first in hundreds.Select(number => First + (number * Hundred)))
        {
            if (TryListen(first) is not { } listener)
                continue;
            Taken.Add(listener);
            (_next, _end) = (first + 1, first + Hundred);
            return;
        }

        throw new InvalidOperationException($"All ports from {First} on are taken, by other runs of tests or by this one: {Taken.Count * Hundred} of them.");
    }

    private static TcpListener? TryListen(int port)
    {
        var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return listener;
        }
        catch (SocketException)
        {
            listener.Dispose();
            return null;
        }
    }
}
