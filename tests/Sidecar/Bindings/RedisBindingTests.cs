using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using StackExchange.Redis;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>bindings.redis where the recording (any/config-redis) is silent: components-contrib, bindings/redis/redis.go.</summary>
public sealed class RedisBindingTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncLifetime
{
    private RedisServer _server = null!;
    private ConnectionMultiplexer _connection = null!;
    private IDatabase _database = null!;
    private EmbeddedDapr _dapr = null!;
    private HttpClient _http = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RedisServer.Missing);
        _server = await servers.RedisAsync();
        _connection = await ConnectionMultiplexer.ConnectAsync(_server.Address);
        _database = _connection.GetDatabase(_server.NewDatabase());
        _dapr = await Sidecars.StartAsync(Sidecars.App(
            "one", Sidecars.Component("r", "bindings.redis", ("redisHost", _server.Address), ("redisDB", $"{_database.Database}"))));
        _http = Sidecars.Http(_dapr["one"]);
    }

    public async ValueTask DisposeAsync()
    {
        if (_dapr is null)
            return;
        _http.Dispose();
        await _dapr.DisposeAsync();
        await _connection.DisposeAsync();
    }

    [Fact]
    public async Task What_is_created_is_JSON_and_comes_back_as_it_was_written_until_it_is_deleted()
    {
        using (var created = await InvokeAsync("create", new() { ["key"] = "a" }, """{"n":1}"""))
            Assert.Equal(HttpStatusCode.NoContent, created.StatusCode);

        Assert.Equal("""{"n":1}""", await GetAsync("a"));
        using (var deleted = await InvokeAsync("delete", new() { ["key"] = "a" }))
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Equal("", await GetAsync("a"));
        Assert.False(await _database.KeyExistsAsync("a"));
    }

    [Fact]
    public async Task A_get_takes_the_key_with_it_where_that_is_asked_for()
    {
        await _database.StringSetAsync("a", "x");

        Assert.Equal("x", await GetAsync("a", ("delete", "true")));

        Assert.False(await _database.KeyExistsAsync("a"));
    }

    [Fact]
    public async Task A_counter_begins_at_one()
    {
        using (await InvokeAsync("increment", new() { ["key"] = "n" }))
        using (await InvokeAsync("increment", new() { ["key"] = "n" }))
            Assert.Equal(2, (long)await _database.StringGetAsync("n"));
    }

    [Theory]
    [InlineData("ttlInSeconds", "100", 100)]
    [InlineData("TTLinSeconds", "100", 100)]
    [InlineData("ttl", "1m30s", 90)]
    public async Task A_key_may_expire(string field, string value, int seconds)
    {
        using var created = await InvokeAsync("create", new() { ["key"] = "a", [field] = value }, "1");

        Assert.Equal(HttpStatusCode.NoContent, created.StatusCode);
        Assert.InRange((await _database.KeyTimeToLiveAsync("a"))!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(seconds));
    }

    [Theory]
    [InlineData("get", "{}", "redis binding: missing key in request metadata")]
    [InlineData("increment", """{"key": "text"}""", "ERR value is not an integer or out of range")]
    [InlineData("get", """{"key": "list"}""", "WRONGTYPE")]
    [InlineData("create", """{"key": "a", "ttlInSeconds": "soon"}""", "ttl value must be a valid integer: actual is 'soon'")]
    [InlineData("create", """{"key": "a", "ttlInSeconds": "-1"}""", "ttl value must be higher than zero: actual is '-1'")]
    [InlineData("list", """{"key": "a"}""", "binding r does not support operation list. supported operations:create delete get increment")]
    public async Task What_cannot_be_done_is_refused_with_the_reason(string operation, string metadata, string reason)
    {
        await _database.StringSetAsync("text", "x");
        await _database.ListLeftPushAsync("list", "x");

        using var answer = await InvokeAsync(operation, JsonNode.Parse(metadata)!.AsObject(), "1");

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains(reason, await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    private async Task<string> GetAsync(string key, params (string Name, string Value)[] metadata)
    {
        using var answer = await InvokeAsync(
            "get", new(metadata.Append(("key", key)).Select(field => KeyValuePair.Create(field.Item1, (JsonNode?)JsonValue.Create(field.Item2)))));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync(Cancellation);
    }

    private Task<HttpResponseMessage> InvokeAsync(string operation, JsonObject metadata, string? data = null) => _http.PostAsJsonAsync(
        "/v1.0/bindings/r", new JsonObject { ["operation"] = operation, ["metadata"] = metadata, ["data"] = data is null ? null : JsonNode.Parse(data) }, Cancellation);
}
