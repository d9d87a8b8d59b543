using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>The transactional outbox where the recordings are silent: what was committed is published, and nothing else.</summary>
public sealed class OutboxTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private static readonly SubscriptionResource Orders =
        new("orders", "pubsub", "orders", [new("", "/orders")], null, new Dictionary<string, string>(), null, [], default);

    private readonly TemporaryFolder _folder = new();
    private readonly Channel<string> _arrived = Channel.CreateUnbounded<string>();
    private NatsServer? _nats;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_nats is not null)
            await _nats.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("pubsub.sqlite")]
    [InlineData("pubsub.redis")]
    [InlineData("pubsub.rabbitmq")]
    [InlineData("pubsub.jetstream")]
    public async Task What_was_committed_and_not_published_when_the_process_ended_is_published_by_the_next_one(string inner)
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        ComponentResource[] components = [SqliteStore("store", ("outboxPubsub", "inner")), await BrokerAsync(inner, "inner")];
        await using (var dapr = await Sidecars.StartAsync(Options(app.Port, components)))
        {
            await dapr["one"].Ready;
            // Its broker is not there yet, so nothing can be published.
            Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("a", "1")));
            await dapr.RemoveAsync(dapr["one"], new CancellationToken(canceled: true));
        }

        await using var next = await Sidecars.StartAsync(Options(app.Port, [.. components, SqlitePubSub("pubsub")]));

        Assert.Equal(["1"], await ArrivedAsync(1));
    }

    /// <summary>The internal topic and the published one are on the same broker, as where outboxPubsub says nothing.</summary>
    [Theory]
    [InlineData("pubsub.rabbitmq")]
    [InlineData("pubsub.jetstream")]
    public async Task What_is_committed_comes_once_over_a_broker(string broker)
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        await using var dapr = await Sidecars.StartAsync(Options(app.Port, SqliteStore("store"), await BrokerAsync(broker, "pubsub")));
        await dapr["one"].Ready;

        for (var i = 0; i < 20; i += 2)
            Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert($"{i}", $"{i}"), Upsert($"{i + 1}", $"{i + 1}")));

        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}").Order(StringComparer.Ordinal), (await ArrivedAsync(20)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public async Task An_event_whose_transaction_is_not_known_is_discarded_where_that_is_asked_for_and_else_waits_for_it(string discards)
    {
        var log = new WrittenLog();
        await using var app = await TestApp.StartAsync(TakeAsync);
        var store = SqliteStore("store", ("outboxDiscardWhenMissingState", discards), ("keyPrefix", "none"));
        await using var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [Options(app.Port, store, SqlitePubSub("pubsub"))], LoggerFactory = log }, Cancellation);
        await dapr["one"].Ready;
        using var http = Sidecars.Http(dapr["one"]);
        var marker = $"outbox-{Guid.NewGuid()}";
        using var content = new StringContent(
            $$$"""{"id":"{{{marker}}}","data":{"n":2},"datacontenttype":"application/json","specversion":"1.0","type":"t","source":"s"}""", Encoding.UTF8, "application/json");
        using (await http.PostAsync(new Uri("/v1.0/publish/pubsub/defaultoneordersoutbox?metadata.rawPayload=true", UriKind.Relative), content, Cancellation))
            await log.WaitFor(discards == "true" ? "is discarded" : "is left to the broker");

        // Its transaction was another process's, and long under way.
        using var marked = await http.PostAsJsonAsync("/v1.0/state/store", new[] { new { key = marker, value = "0" } }, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, marked.StatusCode);

        if (discards == "false")
            Assert.Equal(["2"], await ArrivedAsync(1));
        for (var i = 3; i < 6; i++)
        {
            Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("a", $"{i}")));
            Assert.Equal([$"{i}"], await ArrivedAsync(1));
        }
    }

    /// <summary>daprd looks eleven seconds for the marker of each refused one. Here the clock stands still: who waits by it waits for ever.</summary>
    [Fact]
    public async Task A_refused_transaction_publishes_nothing_and_holds_up_nobody()
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [Options(app.Port, SqliteStore("store"), Sidecars.Component("pubsub", "pubsub.in-memory"))],
                Time = new FakeTimeProvider(DateTimeOffset.UtcNow),
            },
            Cancellation);
        await dapr["one"].Ready;

        for (var i = 0; i < 20; i++)
            Assert.Equal(HttpStatusCode.InternalServerError, await TransactAsync(dapr, "store", Upsert("a", "1", etag: "stale")));
        Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("a", "2")));

        Assert.Equal(["2"], await ArrivedAsync(1));
    }

    /// <summary>daprd subscribes each store to the topic, and an event that the wrong one gets is lost.</summary>
    [Fact]
    public async Task Two_stores_may_publish_to_one_topic()
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        await using var dapr = await Sidecars.StartAsync(
            Options(app.Port, SqliteStore("store"), SqliteStore("other"), Sidecars.Component("pubsub", "pubsub.in-memory")));
        await dapr["one"].Ready;

        for (var i = 0; i < 10; i++)
            Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, i % 2 == 0 ? "store" : "other", Upsert("a", $"{i}")));

        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"{i}"), (await ArrivedAsync(10)).Order(StringComparer.Ordinal));
    }

    /// <summary>redis does not take back what was written before a refusal. daprd publishes the refused change too.</summary>
    [Fact]
    public async Task On_redis_what_was_written_is_published_and_what_was_refused_is_not()
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        await using var app = await TestApp.StartAsync(TakeAsync);
        var store = Sidecars.Component(
            "store", "state.redis", ("redisHost", redis.Address), ("redisDB", $"{redis.NewDatabase()}"), ("outboxPublishPubsub", "pubsub"), ("outboxPublishTopic", "orders"));
        await using var dapr = await Sidecars.StartAsync(Options(app.Port, store, SqlitePubSub("pubsub")));
        await dapr["one"].Ready;
        Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("b", "0")));
        Assert.Equal(["0"], await ArrivedAsync(1));

        Assert.Equal(
            HttpStatusCode.InternalServerError,
            await TransactAsync(dapr, "store", Upsert("a", "1"), Upsert("b", "2", etag: "99"), Upsert("c", "3")));
        Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("b", "4")));

        Assert.Equal(["1", "3", "4"], (await ArrivedAsync(3)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("outbox-0d7a8a6c-0000-4000-8000-000000000000", HttpStatusCode.NoContent)]
    [InlineData("one||b", HttpStatusCode.OK)]
    public async Task An_event_without_a_transaction_is_not_published_and_takes_no_state_away_and_what_is_behind_it_comes(string id, HttpStatusCode stateOfB)
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        await using var dapr = await Sidecars.StartAsync(Options(app.Port, SqliteStore("store"), Sidecars.Component("pubsub", "pubsub.in-memory")));
        await dapr["one"].Ready;
        using var http = Sidecars.Http(dapr["one"]);
        if (stateOfB == HttpStatusCode.OK)
        {
            Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("b", "1")));
            Assert.Equal(["1"], await ArrivedAsync(1));
        }

        using var content = new StringContent($$"""{"id":"{{id}}","data":{"n":2},"specversion":"1.0","type":"t","source":"s"}""", Encoding.UTF8, "application/json");
        using var published = await http.PostAsync(new Uri("/v1.0/publish/pubsub/defaultoneordersoutbox?metadata.rawPayload=true", UriKind.Relative), content, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, published.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, await TransactAsync(dapr, "store", Upsert("a", "3")));

        Assert.Equal(["3"], await ArrivedAsync(1));
        using var state = await http.GetAsync(new Uri("/v1.0/state/store/b", UriKind.Relative), Cancellation);
        Assert.Equal(stateOfB, state.StatusCode);
    }

    [Fact]
    public async Task Money_and_large_numbers_keep_their_digits()
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        await using var dapr = await Sidecars.StartAsync(Options(app.Port, SqliteStore("store"), Sidecars.Component("pubsub", "pubsub.in-memory")));
        await dapr["one"].Ready;
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        await client.ExecuteStateTransactionAsync(
            new()
            {
                StoreName = "store",
                Operations =
                {
                    new Dapr.Client.Autogen.Grpc.v1.TransactionalStateOperation
                    {
                        OperationType = "upsert",
                        Request = new() { Key = "a", Value = ByteString.CopyFromUtf8("""{"n":12345678901234567890.10}"""), Metadata = { ["contentType"] = "application/json" } },
                    },
                },
            },
            cancellationToken: Cancellation);

        Assert.Equal(["12345678901234567890.10"], await ArrivedAsync(1));
    }

    private static string Upsert(string key, string n, string etag = "") =>
        $$$$"""{"operation":"upsert","request":{"key":"{{{{key}}}}","value":{"n":{{{{n}}}}},"etag":"{{{{etag}}}}","metadata":{"contentType":"application/json"}}}""";

    private static async Task<HttpStatusCode> TransactAsync(EmbeddedDapr dapr, string store, params string[] operations)
    {
        using var http = Sidecars.Http(dapr["one"]);
        using var content = new StringContent($$"""{"operations":[{{string.Join(',', operations)}}]}""", Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync(new Uri($"/v1.0/state/{store}/transaction", UriKind.Relative), content, Cancellation);
        return answer.StatusCode;
    }

    private static SidecarOptions Options(int appPort, params ComponentResource[] components) =>
        Sidecars.App("one") with { AppPort = appPort, Resources = new(components, [Orders], [], []) };

    private ComponentResource SqliteStore(string name, params (string Name, string Value)[] more) => Sidecars.Component(
        name, "state.sqlite", [("connectionString", _folder.File($"{name}.db")), ("outboxPublishPubsub", "pubsub"), ("outboxPublishTopic", "orders"), .. more]);

    private ComponentResource SqlitePubSub(string name) =>
        Sidecars.Component(name, "pubsub.sqlite", ("connectionString", _folder.File($"{name}-events.db")), ("redeliverInterval", "50ms"));

    private async Task<ComponentResource> BrokerAsync(string type, string name)
    {
        switch (type)
        {
            case "pubsub.redis":
                return await RedisPubSubAsync(name);
            case "pubsub.rabbitmq":
                ServerProgram.Require(RabbitMqServer.Missing);
                var rabbitMq = await servers.RabbitMqAsync();
                return Sidecars.Component(name, type, ("connectionString", rabbitMq.ConnectionString(rabbitMq.NewVirtualHost())), ("deletedWhenUnused", "false"));
            case "pubsub.jetstream":
                ServerProgram.Require(NatsServer.Missing);
                _nats = await NatsServer.StartAsync(Cancellation);
                await _nats.AddStreamsAsync(["orders", "defaultoneordersoutbox"], Cancellation);
                return Sidecars.Component(name, type, ("natsURL", _nats.Url), ("durableName", "one"), ("queueGroupName", "one"));
            default:
                return SqlitePubSub(name);
        }
    }

    private async Task<ComponentResource> RedisPubSubAsync(string name)
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        return Sidecars.Component(
            name, "pubsub.redis", ("redisHost", redis.Address), ("redisDB", $"{redis.NewDatabase()}"), ("processingTimeout", "2000"), ("redeliverInterval", "20"));
    }

    private async Task TakeAsync(HttpContext context)
    {
        if (context.Request.Path != "/orders")
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        var body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        _arrived.Writer.TryWrite(body!["data"]!["n"]!.ToJsonString());
    }

    private async Task<List<string>> ArrivedAsync(int count)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(Limit);
        var arrived = new List<string>();
        while (arrived.Count < count)
            arrived.Add(await _arrived.Reader.ReadAsync(limit.Token));
        return arrived;
    }
}
