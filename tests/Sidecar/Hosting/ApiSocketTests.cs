using System.Net.Sockets;
using DaprOrders.Sidecar.Tests.PubSub;
using Grpc.Net.Client;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>A sidecar's APIs on Unix domain sockets, in files with daprd's names.</summary>
public sealed class ApiSocketTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Http => _folder.File("dapr-one-http.socket");

    private string Grpc => _folder.File("dapr-one-grpc.socket");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Both_APIs_answer_on_their_files_which_are_gone_with_the_sidecar()
    {
        await using (var dapr = await Sidecars.StartAsync(OnSockets()))
        {
            Assert.Equal(($"unix://{Http}", $"unix://{Grpc}", 0), (dapr["one"].HttpEndpoint, dapr["one"].GrpcEndpoint, dapr["one"].HttpPort));
            using var client = new HttpClient(To(Http)) { BaseAddress = new("http://localhost") };
            using var saved = await client.PostAsync(
                new Uri("/v1.0/state/store", UriKind.Relative), new StringContent("""[{"key": "a", "value": 1}]"""), Cancellation);
            using var channel = GrpcChannel.ForAddress("http://localhost", new() { HttpHandler = To(Grpc) });
            var state = await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).GetStateAsync(new() { StoreName = "store", Key = "a" }, cancellationToken: Cancellation);

            Assert.Equal("1", state.Data.ToStringUtf8());
            Assert.Equal("1", await client.GetStringAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation));
        }

        Assert.False(File.Exists(Http) || File.Exists(Grpc));
    }

    [Fact]
    public async Task What_a_killed_process_has_left_there_is_no_hindrance_and_a_sidecar_that_runs_is_one()
    {
        // A socket that is closed removes its file, a process that is killed does not.
        await File.WriteAllTextAsync(Http, "", Cancellation);
        await using var dapr = await Sidecars.StartAsync(OnSockets());

        var refused = await Assert.ThrowsAsync<IOException>(() => Sidecars.StartAsync(OnSockets()));

        Assert.Equal($"{Http} is in use: another sidecar of one listens on it.", refused.Message);
        using var client = new HttpClient(To(Http)) { BaseAddress = new("http://localhost") };
        using var health = await client.GetAsync(new Uri("/v1.0/healthz", UriKind.Relative), Cancellation);
        Assert.True(health.IsSuccessStatusCode);
    }

    [Fact]
    public async Task A_folder_that_is_not_there_or_is_too_deep_is_refused_in_words()
    {
        var missing = _folder.File("missing");
        var deep = Directory.CreateDirectory(_folder.File(new string('x', 120))).FullName;

        var notThere = await Assert.ThrowsAsync<IOException>(() => Sidecars.StartAsync(OnSockets() with { UnixDomainSocket = missing }));
        var tooLong = await Assert.ThrowsAsync<IOException>(() => Sidecars.StartAsync(OnSockets() with { UnixDomainSocket = deep }));

        Assert.Equal($"unixDomainSocket of one: expected a folder, got \"{missing}\", which does not exist.", notThere.Message);
        Assert.Contains("cannot be a socket, of whose names the system takes about a hundred letters", tooLong.Message, StringComparison.Ordinal);
    }

    private SidecarOptions OnSockets() => Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { UnixDomainSocket = Path.GetDirectoryName(Http) };

    private static SocketsHttpHandler To(string file) => new()
    {
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(file), cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    };
}
