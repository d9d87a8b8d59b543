using System.Net;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Access;

/// <summary>Calls as daprd hands them on (recorded: invoke-identity, invoke-identity-token, actors-calls), and forged ones.</summary>
public sealed class CallerTests
{
    private const string Caller = "Dapr-Caller-App-Id";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> SidecarOnly => ["/events/letters", "/events/dead-letters", "/EVENTS/letters", "/dapr/config", "/dapr/subscribe", "/actors/Letter/1/method/send", "/actors/Letter/1"];

    [Theory]
    [MemberData(nameof(SidecarOnly))]
    public async Task What_is_the_sidecars_alone_is_refused_to_other_applications_with_the_token_and_without(string path)
    {
        foreach (var token in new[] { null, "secret" })
        {
            await using var host = await StartAsync(Map, ("APP_API_TOKEN", token ?? ""));
            foreach (var caller in new[] { "post", "letters, post", "post, letters", "" })
            {
                using var answer = await SendAsync(host, path, (Caller, caller), ("dapr-api-token", "secret"));

                Assert.Equal((HttpStatusCode.Forbidden, "urn:daprorders:sidecar-only"), (answer.StatusCode, await TypeAsync(answer)));
            }
        }
    }

    [Fact]
    public async Task An_actor_is_called_by_its_own_service_and_by_reminders()
    {
        await using var host = await StartAsync(Map, ("APP_API_TOKEN", "secret"));

        using var byItself = await SendAsync(host, "/actors/Letter/1/method/send", (Caller, "letters"), ("dapr-api-token", "secret"));
        using var byReminder = await SendAsync(host, "/actors/Letter/1/method/send", ("dapr-api-token", "secret"));
        using var withoutToken = await SendAsync(host, "/actors/Letter/1/method/send", (Caller, "letters"));

        Assert.Equal(HttpStatusCode.OK, byItself.StatusCode);
        Assert.Equal(HttpStatusCode.OK, byReminder.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, withoutToken.StatusCode);
    }

    [Theory]
    [InlineData("post", HttpStatusCode.OK)]
    [InlineData("reader", HttpStatusCode.OK)]
    [InlineData(null, HttpStatusCode.OK)]
    [InlineData("stranger", HttpStatusCode.Forbidden)]
    [InlineData("Post", HttpStatusCode.Forbidden)]
    [InlineData("post, stranger", HttpStatusCode.Forbidden)]
    [InlineData("stranger, post", HttpStatusCode.Forbidden)]
    public async Task A_route_between_services_is_for_those_it_names_and_in_development_for_whoever_calls_directly(string? caller, HttpStatusCode expected)
    {
        await using var host = await StartAsync(Map);

        using var answer = await SendAsync(host, "/letters/1/recall", (Caller, caller));

        Assert.Equal(expected, answer.StatusCode);
        if (expected == HttpStatusCode.Forbidden)
            Assert.Equal("urn:daprorders:caller-not-allowed", await TypeAsync(answer));
    }

    [Theory]
    [InlineData("post", "secret", HttpStatusCode.OK)]
    [InlineData("post", null, HttpStatusCode.Forbidden)]
    [InlineData("post", "wrong", HttpStatusCode.Forbidden)]
    [InlineData(null, "secret", HttpStatusCode.Forbidden)]
    [InlineData(null, null, HttpStatusCode.Forbidden)]
    [InlineData("stranger", "secret", HttpStatusCode.Forbidden)]
    public async Task With_the_app_token_a_route_between_services_needs_a_named_caller_and_the_token(string? caller, string? token, HttpStatusCode expected)
    {
        await using var host = await StartAsync(Map, ("APP_API_TOKEN", "secret"));

        using var answer = await SendAsync(host, "/letters/1/recall", (Caller, caller), ("dapr-api-token", token));

        Assert.Equal(expected, answer.StatusCode);
    }

    [Fact]
    public async Task A_refusal_says_who_may_call_and_who_did()
    {
        await using var host = await StartAsync(Map);

        using var answer = await SendAsync(host, "/letters/1/recall", (Caller, "stranger"));

        Assert.Equal("Only post, reader may call this, by Dapr invocation; got a call by stranger.", (await JsonAsync(answer)).GetProperty("detail").GetString());
    }

    [Theory]
    [InlineData("http://localhost:5101", null)]
    [InlineData("http://127.0.0.1:0", null)]
    [InlineData("http://[::1]:80", null)]
    [InlineData("http://localhost:1;http://0.0.0.0:2", "http://0.0.0.0:2")]
    [InlineData("http://+:8080", "http://+:8080")]
    [InlineData("http://*:8080", "http://*:8080")]
    [InlineData("http://[::]:8080", "http://[::]:8080")]
    [InlineData("https://orders.example:443", "https://orders.example:443")]
    public void Where_other_machines_reach_a_service_is_told_from_its_addresses(string urls, string? beyond)
    {
        Assert.Equal(beyond, ListeningBeyondLoopback.AddressOf(Settings(("urls", urls))));
        Assert.Equal("http://*:1", ListeningBeyondLoopback.AddressOf(Settings(("urls", urls), ("Kestrel:Endpoints:Http:Url", "http://*:1"))));
    }

    private static ConfigurationManager Settings(params (string Key, string Value)[] settings)
    {
        var builder = new ConfigurationManager();
        foreach (var (key, value) in settings)
            builder[key] = value;
        return builder;
    }

    private static void Map(WebApplication app)
    {
        app.MapTopic("letters", "post", (_, _) => Task.CompletedTask);
        app.MapPost("/actors/{type}/{id}/method/{method}", () => TypedResults.Ok());
        app.MapPost("/letters/{id}/recall", () => TypedResults.Ok()).RequireCaller("post", "reader");
    }

    private static async Task<HttpResponseMessage> SendAsync(ServiceHost host, string path, params (string Name, string? Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        foreach (var (name, value) in headers)
        {
            if (value is not null)
                request.Headers.TryAddWithoutValidation(name, value);
        }

        return await host.Http.SendAsync(request, Cancellation);
    }

    private static async Task<string?> TypeAsync(HttpResponseMessage answer) => (await JsonAsync(answer)).GetProperty("type").GetString();
}
