using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>Requests that daprd's server answers before any API is asked.</summary>
public sealed class RequestPipelineTests : IAsyncLifetime
{
    private EmbeddedDapr _dapr = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")));

    public ValueTask DisposeAsync() => _dapr.DisposeAsync();

    [Theory]
    [InlineData("GET /v1.0/metadata", "", "200")]
    [InlineData("GET /v1.0/METADATA", "", "404")]
    [InlineData("GET /V1.0/metadata", "", "404")]
    [InlineData("GET /v1.0/state/store/KEY", "", "204")]
    [InlineData("GET /v1.0/state/store/%zz", "", "400")]
    [InlineData("GET /v1.0/state/store/a%", "", "400")]
    [InlineData("GET /v1.0/state/store/a?b=%zz", "", "204")]
    [InlineData("GET /v1.0/state/store/a", "Expect: something\r\n", "417")]
    [InlineData("GET /v1.0/state/store/a", "Baggage: k=a b\r\n", "400")]
    [InlineData("GET /v1.0/healthz", "Baggage: k=a b\r\n", "204")]
    [InlineData("GET /v1.0/state/store/a", "Baggage: k=v\r\n", "204")]
    public async Task Have_its_status(string request, string headers, string status)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _dapr["one"].HttpPort, Cancellation);
        var bytes = Encoding.ASCII.GetBytes($"{request} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        await client.GetStream().WriteAsync(bytes, Cancellation);
        using var reader = new StreamReader(client.GetStream());

        Assert.Equal(status, (await reader.ReadLineAsync(Cancellation))!.Split(' ')[1]);
    }
}
