using System.Net.Http.Json;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;
using StackExchange.Redis;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>Subscriptions of a sidecar to pubsub.redis that cannot begin at first: each begins as soon as it can, and holds up nobody else.</summary>
public sealed class RedisOutageTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly Cable _cable = new();
    private readonly WrittenLog _log = new();
    private RedisServer _redis = null!;
    private int _database;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RedisServer.Missing);
        _redis = await servers.RedisAsync();
        _cable.LeadTo(_redis.Port);
        _database = _redis.NewDatabase();
    }

    public ValueTask DisposeAsync() => _cable.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_server_that_gives_no_answer_when_the_application_is_ready_delivers_when_it_does(bool isBulk)
    {
        await using var app = await StartAppAsync(_cable.HoldUp);
        await using var dapr = await StartAsync(app, isBulk, "orders");
        await _log.WaitFor("Topic orders cannot be ");

        _cable.Mend();

        await dapr.Ready.WaitAsync(Limit, Cancellation);
        await PublishUntilItComesAsync(dapr, app, "orders");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_sidecar_whose_server_went_before_the_application_was_ready_can_be_stopped(bool isBulk)
    {
        await using var app = await StartAppAsync(_cable.Cut);
        var dapr = await StartAsync(app, isBulk, "orders");
        await _log.WaitFor("Topic orders cannot be ");

        await dapr.DisposeAsync().AsTask().WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task A_topic_that_the_server_refuses_holds_up_neither_the_others_nor_the_application()
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(_redis.Address);
        var database = connection.GetDatabase(_database);
        await database.StringSetAsync("refused", "no stream");
        await using var app = await StartAppAsync(() => { });
        await using var dapr = await StartAsync(app, isBulk: false, "refused", "orders");
        await _log.WaitFor("Topic refused cannot be ");

        await dapr.Ready.WaitAsync(Limit, Cancellation);
        await PublishUntilItComesAsync(dapr, app, "orders");

        await database.KeyDeleteAsync("refused");
        await PublishUntilItComesAsync(dapr, app, "refused");
    }

    /// <summary>It is asked for its configuration before it is subscribed for.</summary>
    private static Task<TestApp> StartAppAsync(Action whenAsked) => TestApp.StartAsync(async context =>
    {
        if (context.Request.Path == "/dapr/config")
            whenAsked();
        if (context.Request.Path.StartsWithSegments("/dapr"))
            context.Response.StatusCode = StatusCodes.Status404NotFound;
        else
            await context.Response.WriteAsync("""{"statuses":[]}""");
    });

    private Task<EmbeddedDapr> StartAsync(TestApp app, bool isBulk, params string[] topics)
    {
        var component = Sidecars.Component(
            "pubsub", "pubsub.redis", ("redisHost", $"{RedisServer.Host}:{_cable.Port}"), ("redisDB", $"{_database}"), ("readTimeout", "100ms"), ("writeTimeout", "100ms"));
        var subscriptions = topics.Select(topic => new SubscriptionResource(
            topic, "pubsub", topic, [new RouteRule("", $"/{topic}")], null, new Dictionary<string, string>(), isBulk ? new(true, 10, 1000) : null, [], default));
        return EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [new() { AppId = "one", AppPort = app.Port, Resources = new ResourceSet([component], [.. subscriptions], [], []) }],
                LoggerFactory = _log,
            },
            Cancellation);
    }

    /// <summary>A publication may still fail while the connection is not what it was.</summary>
    private static async Task PublishUntilItComesAsync(EmbeddedDapr dapr, TestApp app, string topic)
    {
        using var client = Sidecars.Http(dapr["one"]);
        await BrokerTests.UntilAsync(
            async () =>
            {
                using var answer = await client.PostAsJsonAsync($"/v1.0/publish/pubsub/{topic}", 1, Cancellation);
                return answer.IsSuccessStatusCode;
            },
            Limit);
        while (await app.NextCallAsync().AsTask().WaitAsync(Limit, Cancellation) != $"POST /{topic}")
        {
            // What it was asked before.
        }
    }
}
