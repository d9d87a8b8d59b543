using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;
using NATS.Client.Core;
using NATS.Client.JetStream;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>The step before the first start on NATS.</summary>
public sealed class StreamsCommandTests : IDisposable
{
    private readonly Workspace _workspace = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task Each_topic_that_a_subscription_or_a_scope_names_gets_a_stream_and_existing_ones_are_left_alone()
    {
        ServerProgram.Require(NatsServer.Missing);
        await using var server = await NatsServer.StartAsync(Cancellation);
        await server.AddStreamsAsync(["stock", "goods"], Cancellation, oneStream: "of-somebody");
        WithNats(server.Url, """
                - {name: durableName, value: "{appID}"}
                - {name: publishingScopes, value: "one=orders,parcels.eu;two="}
            """);

        Assert.Equal(0, await RunAsync("more"));
        Assert.Equal(0, await RunAsync("more"));

        await using var connection = new NatsConnection(new NatsOpts { Url = server.Url });
        var streams = new Dictionary<string, ICollection<string>?>();
        await foreach (var stream in new NatsJSContext(connection).ListStreamsAsync(cancellationToken: Cancellation))
            streams.Add(stream.Info.Config.Name!, stream.Info.Config.Subjects);
        Assert.Equal(["deadletters", "more", "of-somebody", "orders", "parcels_eu"], streams.Keys.Order());
        Assert.Equal(["parcels.eu"], streams["parcels_eu"]!);
        Assert.Equal(["made a stream for orders", "there is a stream for orders"], _workspace.Shown.Split(Environment.NewLine).Where(line => line.EndsWith(" orders", StringComparison.Ordinal)));
        Assert.Contains("there is a stream for stock", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_given_goes_before_that_of_the_component()
    {
        ServerProgram.Require(NatsServer.Missing);
        await using var server = await NatsServer.StartAsync(Cancellation);
        WithNats($"nats://127.0.0.1:{FreePort.Next()}", "");

        Assert.Equal(0, await RunAtAsync(server.Url));

        await using var connection = new NatsConnection(new NatsOpts { Url = server.Url });
        Assert.Equal("stock", (await new NatsJSContext(connection).GetStreamAsync("stock", cancellationToken: Cancellation)).Info.Config.Name);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_told()
    {
        WithNats($"nats://127.0.0.1:{FreePort.Next()}", "");

        Assert.Equal(1, await RunAsync());

        Assert.Contains("component pubsub (pubsub.jetstream) cannot start: no NATS server takes us", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_file_without_such_a_broker_is_told()
    {
        _workspace.WithApps("- {appID: one, appDirPath: one}\n");

        Assert.Equal(1, await RunAsync());

        Assert.Contains("No component of", _workspace.Shown, StringComparison.Ordinal);
    }

    private void WithNats(string url, string metadata)
    {
        _workspace.WithApps("- {appID: one, appDirPath: one}\n- {appID: two, appDirPath: two}\n");
        _workspace.Write("components/pubsub.yaml", $$"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: pubsub}
            spec:
              type: pubsub.jetstream
              version: v1
              metadata:
                - {name: natsURL, value: "{{url}}"}
            {{metadata}}
            """);
        _workspace.Write("components/subscription.yaml", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: stock}
            spec: {pubsubname: pubsub, topic: stock, routes: {default: /stock}, deadLetterTopic: deadletters}
            """);
    }

    private Task<int> RunAsync(params string[] topics) => RunAtAsync(null, topics);

    private Task<int> RunAtAsync(string? address, params string[] topics) =>
        StreamsCommand.RunAsync(new LaunchOptions { RunFile = _workspace.RunFile }, address, topics, replicas: 1, _workspace.Console, Cancellation);
}
