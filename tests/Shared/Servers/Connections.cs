using System.Net.Sockets;

namespace DaprOrders.Tests.Servers;

public static class Connections
{
    /// <summary>Serves whoever comes until <paramref name="gone"/>, and then waits for those that are being served. The listener is to be stopped after that.</summary>
    public static async Task AcceptAsync(TcpListener listener, Func<TcpClient, Task> serve, CancellationToken gone)
    {
        var connections = new List<Task>();
        try
        {
            while (true)
                connections.Add(serve(await listener.AcceptTcpClientAsync(gone)));
        }
        catch (OperationCanceledException) when (gone.IsCancellationRequested)
        {
            await Task.WhenAll(connections);
        }
    }
}
