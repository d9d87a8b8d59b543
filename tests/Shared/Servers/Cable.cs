using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace DaprOrders.Tests.Servers;

/// <summary>What lies between a program and the server on a port of this machine: a test can cut it, hold it up, and mend it.</summary>
public sealed class Cable : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<TcpClient, bool> _ends = new();
    private readonly CancellationTokenSource _gone = new();
    private volatile int _toPort;
    private readonly Task _accepting;
    private volatile TaskCompletionSource _flows = Done();
    private volatile bool _isCut;

    public Cable(int toPort)
        : this() => LeadTo(toPort);

    /// <summary>It leads nowhere yet.</summary>
    public Cable()
    {
        _listener.Start();
        _accepting = Connections.AcceptAsync(_listener, ConnectAsync, _gone.Token);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Whoever connects from now on comes to this port.</summary>
    public void LeadTo(int port) => _toPort = port;

    /// <summary>Ends every connection, and every new one at once.</summary>
    public void Cut()
    {
        _isCut = true;
        foreach (var end in _ends.Keys)
            end.Close();
    }

    /// <summary>From now on nothing comes through; nobody is told.</summary>
    public void HoldUp() => _flows = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Mend()
    {
        _isCut = false;
        _flows.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _gone.CancelAsync();
        Cut();
        await _accepting;
        _listener.Stop();
        _gone.Dispose();
    }

    private static TaskCompletionSource Done()
    {
        var done = new TaskCompletionSource();
        done.SetResult();
        return done;
    }

    private async Task ConnectAsync(TcpClient near)
    {
        using var far = new TcpClient();
        using (near)
        {
            _ends[near] = _ends[far] = true;
            try
            {
                if (_isCut)
                    return;
                await far.ConnectAsync(IPAddress.Loopback, _toPort, _gone.Token);
                await Task.WhenAny(PumpAsync(near.GetStream(), far.GetStream()), PumpAsync(far.GetStream(), near.GetStream()));
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
            {
                // Cut.
            }
            finally
            {
                _ends.TryRemove(near, out _);
                _ends.TryRemove(far, out _);
            }
        }
    }

    private async Task PumpAsync(NetworkStream from, NetworkStream to)
    {
        var buffer = new byte[16 * 1024];
        while (await from.ReadAsync(buffer, _gone.Token) is > 0 and var read)
        {
            await _flows.Task.WaitAsync(_gone.Token);
            await to.WriteAsync(buffer.AsMemory(0, read), _gone.Token);
        }
    }
}
