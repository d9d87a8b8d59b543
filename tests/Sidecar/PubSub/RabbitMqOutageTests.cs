using System.Collections.Concurrent;
using System.Text;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.rabbitmq while its broker is away. daprd's subscriptions do not all come back from that.</summary>
public sealed class RabbitMqOutageTests(RabbitMqOutageTests.OwnServer own) : IClassFixture<RabbitMqOutageTests.OwnServer>, IAsyncLifetime
{
    private const int Topics = 6;

    private static readonly (string, string)[] Lasting =
    [
        ("deletedWhenUnused", "false"), ("deliveryMode", "2"), ("publisherConfirm", "true"), ("prefetchCount", "20"), ("reconnectWaitSeconds", "200ms"),
    ];

    private RabbitMqServer _server = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RabbitMqServer.Missing);
        _server = await own.RunningAsync();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nothing_confirmed_is_lost_when_the_broker_goes_and_every_subscription_comes_back(bool isKilled)
    {
        await using var broker = await OpenAsync();
        var received = Enumerable.Range(0, Topics).Select(_ => new ConcurrentDictionary<int, bool>()).ToArray();
        for (var topic = 0; topic < Topics; topic++)
            await SubscribeAsync(broker, topic, received[topic]);
        using var enough = new CancellationTokenSource();
        var publishing = Enumerable.Range(0, Topics).Select(topic => PublishUntilAsync(broker, topic, enough.Token)).ToArray();
        await UntilAsync(() => received.All(one => one.Count > 100));

        if (isKilled)
            await _server.KillAsync(Cancellation);
        else
            await _server.StopAsync(Cancellation);
        await _server.StartAgainAsync(Cancellation);
        var before = received.Select(one => one.Keys.Max()).ToArray();
        await UntilAsync(() => received.Zip(before).All(one => one.First.Keys.Max() > one.Second + 100));
        await enough.CancelAsync();
        var confirmed = await Task.WhenAll(publishing);

        // What waits in the broker is handled first, however long a busy machine takes: nothing is lost as long as it becomes less.
        for (var missing = Missing(); missing > 0; missing = Missing())
            await UntilAsync(() => Missing() < missing);

        int Missing() => confirmed.Zip(received).Sum(topic => topic.First.Count(number => !topic.Second.ContainsKey(number)));
    }

    [Fact]
    public async Task Publishing_while_the_broker_is_away_fails_with_the_reason_and_goes_on_when_it_is_back()
    {
        await using var broker = await OpenAsync();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription(0), handler.Handle, Cancellation);
        await _server.StopAsync(Cancellation);

        var failure = await Assert.ThrowsAsync<IOException>(() => broker.PublishAsync("topic0", RabbitMqPubSubTests.Message("1"), Cancellation));
        Assert.Contains("None of the specified endpoints were reachable", failure.Message, StringComparison.Ordinal);
        await _server.StartAgainAsync(Cancellation);
        await broker.PublishAsync("topic0", RabbitMqPubSubTests.Message("2"), Cancellation);

        Assert.Equal(["2"], await handler.WaitFor(1));
    }

    [Fact]
    public async Task A_cut_connection_is_opened_again_and_what_was_in_hand_comes_again()
    {
        await using var cable = new Cable(_server.Port);
        await using var broker = await OpenAsync(cable.Port);
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await broker.SubscribeAsync(Subscription(0), handler.Gated(gate.Task), Cancellation);
        await broker.PublishAsync("topic0", RabbitMqPubSubTests.Message("1"), Cancellation);
        await handler.WaitFor(1);

        cable.Cut();
        cable.Mend();
        Assert.Equal(["1", "1"], await handler.WaitFor(2));
        gate.SetResult();
        await broker.PublishAsync("topic0", RabbitMqPubSubTests.Message("2"), Cancellation);

        Assert.Equal(["1", "1", "2"], await handler.WaitFor(3));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_sidecar_that_waits_for_a_broker_that_went_before_its_application_was_ready_can_be_stopped(bool isBulk)
    {
        await using var cable = new Cable(_server.Port);
        await using var app = await TestApp.StartAsync(context =>
        {
            cable.Cut();
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
        var log = new WrittenLog();
        var subscription = new SubscriptionResource(
            "s", "pubsub", "orders", [new RouteRule("", "/orders")], null, new Dictionary<string, string>(), isBulk ? new(true, 10, 1000) : null, [], default);
        var component = Sidecars.Component("pubsub", "pubsub.rabbitmq", ("connectionString", _server.ConnectionString(_server.NewVirtualHost(), cable.Port)));
        var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [new() { AppId = "one", AppPort = app.Port, Resources = new ResourceSet([component], [subscription], [], []) }],
                LoggerFactory = log,
                // Stands still: what it waits for has no end by itself.
                Time = new FakeTimeProvider(),
            },
            Cancellation);
        await log.WaitFor("Topic orders cannot be subscribed for one");

        await dapr.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2), Cancellation);
    }

    private static TopicSubscription Subscription(int topic) => RabbitMqPubSubTests.Subscription("one", $"topic{topic}");

    private static async Task SubscribeAsync(IPubSub broker, int topic, ConcurrentDictionary<int, bool> received) => await broker.SubscribeAsync(
        Subscription(topic),
        (message, _) =>
        {
            received[int.Parse(Encoding.UTF8.GetString(message.Data.Span))] = true;
            return Task.FromResult(DeliveryResult.Done);
        },
        Cancellation);

    /// <summary>The numbers of which the broker has said that it has them.</summary>
    private static async Task<List<int>> PublishUntilAsync(IPubSub broker, int topic, CancellationToken enough)
    {
        var confirmed = new List<int>();
        for (var n = 1; !enough.IsCancellationRequested; n++)
        {
            if ((await broker.PublishManyAsync($"topic{topic}", [RabbitMqPubSubTests.Message($"{n}")], Cancellation))[0] is null)
                confirmed.Add(n);
        }

        return confirmed;
    }

    private static Task UntilAsync(Func<bool> holds) => RabbitMqPubSubTests.UntilAsync(() => Task.FromResult(holds()));

    private Task<IPubSub> OpenAsync(int? port = null) => RabbitMqPubSubTests.OpenAsync(_server.ConnectionString(_server.NewVirtualHost(), port), Lasting);

    /// <summary>For these tests alone, which stop it and run one after another.</summary>
    public sealed class OwnServer : IAsyncDisposable
    {
        private const int Tests = 6;

        private RabbitMqServer? _server;

        public async Task<RabbitMqServer> RunningAsync()
        {
            _server ??= await RabbitMqServer.StartAsync(Tests, Cancellation);
            // A test that failed may have left it so.
            if (!_server.IsRunning)
                await _server.StartAgainAsync(Cancellation);
            return _server;
        }

        public ValueTask DisposeAsync() => _server is null ? ValueTask.CompletedTask : _server.DisposeAsync();
    }
}
