using System.Net;
using System.Net.Sockets;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>When an app can take work: <c>GET /healthz/ready</c> answers 200; where it has no such address, its port is open.</summary>
internal static class AppReadiness
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan TellAfter = TimeSpan.FromSeconds(20);

    /// <summary>Waits as long as it takes; <paramref name="tell"/> hears once what is being waited for.</summary>
    public static async Task WaitAsync(HttpClient http, int port, string? host, Action<string> tell, CancellationToken cancellationToken)
    {
        var address = new Uri($"http://{(string.IsNullOrEmpty(host) ? "localhost" : host)}:{port}/healthz/ready");
        using var timer = new PeriodicTimer(Interval);
        var started = Environment.TickCount64;
        var told = false;
        string state;
        while ((state = await AskAsync(http, address, cancellationToken)) != "")
        {
            if (!told && Environment.TickCount64 - started > TellAfter.TotalMilliseconds)
            {
                told = true;
                tell(state);
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>Empty when ready, else why not.</summary>
    private static async Task<string> AskAsync(HttpClient http, Uri address, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await http.GetAsync(address, cancellationToken);
            if (answer.IsSuccessStatusCode || answer.StatusCode == HttpStatusCode.NotFound)
                return "";
            var body = await answer.Content.ReadAsStringAsync(cancellationToken);
            return $"{address} answers {(int)answer.StatusCode} {body[..Math.Min(body.Length, 300)]}";
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException)
        {
            return $"nothing listens on port {address.Port}";
        }
        catch (HttpRequestException)
        {
            // Something listens, and speaks another language than HTTP/1.1.
            return "";
        }
        catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{address} does not answer";
        }
    }
}
