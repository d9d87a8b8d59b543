using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Resources;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>The broker of components/local with its scopes, and applications that try what is none of theirs.</summary>
public sealed class ShippedScopesOverSqliteTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private readonly Channel<string> _deadLetters = Channel.CreateUnbounded<string>();
    private TestApp _inventory = null!;
    private EmbeddedDapr _dapr = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var shipped = ResourceLoader.Load([RepositoryFiles.PathOf("components", "local"), RepositoryFiles.PathOf("components", "common")]);
        var broker = shipped.Components.Single(component => component.Name == "pubsub");
        // The same component, on a file of this test's.
        var resources = new ResourceSet(
            [broker with { Metadata = [.. broker.Metadata.Select(item => item.Name == "connectionString" ? item with { Value = _folder.File("pubsub.db") } : item)] }],
            shipped.Subscriptions,
            [],
            []);
        _inventory = await TestApp.StartAsync(AnswerAsync);
        _dapr = await Sidecars.StartAsync(
            App("ordering"),
            App("inventory") with { AppPort = _inventory.Port },
            App("stranger"));
        await _dapr.Ready;

        SidecarOptions App(string appId) => new() { AppId = appId, Resources = resources };
    }

    public async ValueTask DisposeAsync()
    {
        await _dapr.DisposeAsync();
        await _inventory.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task What_a_consumer_refuses_comes_to_its_dead_letters()
    {
        Assert.Equal(HttpStatusCode.NoContent, await PublishAsync("ordering", "orders"));

        Assert.Equal("orders", await _deadLetters.Reader.ReadAsync(Cancellation));
    }

    [Theory]
    [InlineData("inventory", "orders")]
    [InlineData("inventory", "payments")]
    [InlineData("ordering", "stock")]
    [InlineData("ordering", "inventory-deadletters")]
    [InlineData("stranger", "orders")]
    [InlineData("stranger", "payments")]
    public async Task Whoever_does_not_own_a_topic_cannot_publish_there(string app, string topic) =>
        Assert.Equal(HttpStatusCode.Forbidden, await PublishAsync(app, topic));

    private async Task<HttpStatusCode> PublishAsync(string app, string topic)
    {
        using var http = Sidecars.Http(_dapr[app]);
        using var answer = await http.PostAsJsonAsync($"/v1.0/publish/pubsub/{topic}", new { }, Cancellation);
        return answer.StatusCode;
    }

    /// <summary>Refuses every order for good, and keeps what comes as a dead letter.</summary>
    private async Task AnswerAsync(HttpContext context)
    {
        switch (context.Request.Path.Value)
        {
            case "/events/orders":
                var envelope = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: Cancellation);
                var statuses = envelope!["entries"]!.AsArray().Select(entry => new { entryId = (string)entry!["entryId"]!, status = "DROP" });
                await context.Response.WriteAsJsonAsync(new { statuses }, Cancellation);
                break;
            case "/events/dead-letters":
                var letter = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: Cancellation);
                await _deadLetters.Writer.WriteAsync((string)letter!["topic"]!, Cancellation);
                break;
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                break;
        }
    }
}
