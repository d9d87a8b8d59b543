using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;
using StackExchange.Redis;

namespace DaprOrders.Sidecar.Tests.Configuration;

/// <summary>configuration.redis where the recordings are silent.</summary>
public sealed class RedisConfigurationTests : IAsyncLifetime
{
    private readonly Channel<string> _told = Channel.CreateUnbounded<string>();
    private RedisServer _redis = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RedisServer.Missing);
        _redis = await RedisServer.StartAsync(Cancellation);
    }

    public ValueTask DisposeAsync() => _redis is null ? ValueTask.CompletedTask : _redis.DisposeAsync();

    /// <summary>The server that starts again has forgotten that it is to notify; daprd then tells nothing any more.</summary>
    [Fact]
    public async Task A_subscription_goes_on_when_the_server_was_started_again()
    {
        await using var app = await TestApp.StartAsync(TakeAsync);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Store) with { AppPort = app.Port });
        using var http = Sidecars.Http(dapr["one"]);
        await http.GetStringAsync(new Uri("/v1.0/configuration/conf/subscribe?key=a", UriKind.Relative), Cancellation);
        Assert.Equal("/configuration/conf/a before", await ToldAfterAsync("before||1"));

        await _redis.RestartAsync(Cancellation);

        string told;
        do
            told = await ToldAfterAsync("after||2");
        while (told.EndsWith("before", StringComparison.Ordinal));
        Assert.Equal("/configuration/conf/a after", told);
    }

    [Fact]
    public async Task Without_keys_every_key_of_the_database_is_told_on_a_stream_until_the_client_goes()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Store));
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        using var subscription = client.SubscribeConfigurationAlpha1(new() { StoreName = "conf" }, cancellationToken: Cancellation);
        Assert.True(await subscription.ResponseStream.MoveNext(Cancellation));
        var id = subscription.ResponseStream.Current.Id;

        await SetAsync("x/y", "1");

        Assert.True(await subscription.ResponseStream.MoveNext(Cancellation));
        Assert.Equal("1", subscription.ResponseStream.Current.Items["x/y"].Value);
        subscription.Dispose();
        var unsubscribed = new UnsubscribeConfigurationResponse { Ok = true };
        while (unsubscribed.Ok)
            unsubscribed = await client.UnsubscribeConfigurationAsync(new() { StoreName = "conf", Id = id }, cancellationToken: Cancellation);
        Assert.Contains("subscription does not exist", unsubscribed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_stream_ends_with_the_sidecar()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Store));
        using var channel = Sidecars.Grpc(dapr["one"]);
        using var subscription = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).SubscribeConfiguration(
            new() { StoreName = "conf", Keys = { "a" } }, cancellationToken: Cancellation);
        Assert.True(await subscription.ResponseStream.MoveNext(Cancellation));

        await dapr.RemoveAsync(dapr["one"], Cancellation);

        Assert.False(await subscription.ResponseStream.MoveNext(Cancellation));
    }

    [Fact]
    public async Task Over_http_there_must_be_an_application_to_tell()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Store));
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.GetAsync(new Uri("/v1.0/configuration/conf/subscribe?key=a", UriKind.Relative), Cancellation);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Equal("ERR_APP_CHANNEL_NIL", (string?)(await answer.Content.ReadFromJsonAsync<JsonNode>(Cancellation))!["errorCode"]);
    }

    private ComponentResource Store => Sidecars.Component("conf", "configuration.redis", ("redisHost", _redis.Address));

    private async Task TakeAsync(HttpContext context)
    {
        if (context.Request.Method == "POST")
        {
            var body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
            _told.Writer.TryWrite($"{context.Request.Path} {body!["items"]!["a"]!["value"]}");
        }
    }

    /// <summary>Sets it until it is told: nobody says when the subscription has found its server again.</summary>
    private async Task<string> ToldAfterAsync(string value)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        var told = _told.Reader.ReadAsync(limit.Token).AsTask();
        while (await Task.WhenAny(told, Task.Delay(100, limit.Token)) != told)
            await SetAsync("a", value);
        return await told;
    }

    private async Task SetAsync(string key, string value)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(_redis.Address);
        await connection.GetDatabase().StringSetAsync(key, value);
    }
}
