using System.Net;
using System.Net.Http.Headers;
using DaprOrders.Doubles;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Access;

public sealed class AuthenticationTests
{
    private const string ForeignKey = "Zm9yZWlnbi1mb3JlaWduLWZvcmVpZ24tZm9yZWlnbi1mb3I=";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> OperatorsRoutes => ["/dead-letters", "/dead-letters/counts", "/dead-letters/failures?stream=a", "/dead-letters/0123456789abcdef0123456789abcdef", "/forgotten"];

    [Theory]
    [MemberData(nameof(OperatorsRoutes))]
    public async Task What_names_no_policy_is_for_operators(string path)
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);

        Assert.Equal((HttpStatusCode.Unauthorized, "urn:daprorders:unauthenticated"), await AskAsync(host, path, null));
        Assert.Equal((HttpStatusCode.Forbidden, "urn:daprorders:operators-only"), await AskAsync(host, path, BearerTokens.Of("c-42")));
        Assert.Equal((HttpStatusCode.Forbidden, "urn:daprorders:operators-only"), await AskAsync(host, path, BearerTokens.Of("c-42", "buyer")));
        Assert.False((await AskAsync(host, path, BearerTokens.Of("ann", "operator"))).Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task A_token_that_is_not_valid_here_is_refused_and_told_why()
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);
        string[] tokens =
        [
            "no token",
            BearerTokens.Of("ann", "operator", key: ForeignKey),
            BearerTokens.Of("ann", "operator", audience: "another-service"),
            BearerTokens.Of("ann", "operator", validFor: TimeSpan.FromHours(-1)),
        ];

        foreach (var token in tokens)
        {
            using var answer = await SendAsync(host, HttpMethod.Get, "/dead-letters", token);

            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
            Assert.Contains("invalid_token", answer.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/healthz/live")]
    [InlineData("/openapi/v1.json")]
    public async Task What_tells_nothing_about_anybody_is_open(string path)
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, path, null)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await AskAsync(host, "/nowhere", null)).Status);
    }

    [Fact]
    public async Task A_customer_sees_what_is_theirs_and_operators_everything()
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/customers/c-42/letters", BearerTokens.Of("c-42"))).Status);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/customers/c-42/letters", BearerTokens.Of("ann", "operator"))).Status);
        Assert.Equal((HttpStatusCode.Forbidden, "urn:daprorders:not-your-account"), await AskAsync(host, "/customers/c-42/letters", BearerTokens.Of("c-43")));
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(host, "/customers/c-42/letters", null)).Status);
    }

    [Fact]
    public async Task A_viewer_sees_what_operators_see_and_changes_nothing()
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);
        var viewer = BearerTokens.Of("vic", "viewer");

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/dead-letters", viewer)).Status);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/customers/c-42/letters", viewer)).Status);
        using var redrive = await SendAsync(host, HttpMethod.Post, "/dead-letters/redrive", viewer);
        using var discard = await SendAsync(host, HttpMethod.Post, "/dead-letters/0123456789abcdef0123456789abcdef/discard", viewer);
        using var recall = await SendAsync(host, HttpMethod.Post, "/letters/1/recall", viewer);
        Assert.All([redrive, discard, recall], answer => Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode));
    }

    [Fact]
    public async Task Deliveries_and_other_services_need_no_token_of_a_person()
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);
        host.Http.DefaultRequestHeaders.Add("dapr-api-token", BearerTokens.AppToken);

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("letter-1", 1)));
        Assert.Equal(HttpStatusCode.OK, (await RecallAsync(null, "post")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await RecallAsync(BearerTokens.Of("ann", "operator"), null)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await RecallAsync(BearerTokens.Of("c-42"), null)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await RecallAsync(null, null)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await RecallAsync(null, "stranger")).StatusCode);

        Task<HttpResponseMessage> RecallAsync(string? token, string? caller) =>
            SendAsync(host, HttpMethod.Post, "/letters/1/recall", token, ("Dapr-Caller-App-Id", caller));
    }

    [Fact]
    public async Task Without_authentication_everything_is_open_on_this_machine()
    {
        await using var host = await StartAsync(Map);

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/dead-letters", null)).Status);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/customers/c-42/letters", null)).Status);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(host, "/forgotten", null)).Status);
    }

    [Theory]
    [InlineData("urls=http://+:8080", "This service is to listen on http://+:8080, which other machines reach")]
    [InlineData("Auth:Authority=https://id.example", "Auth:Audience is missing")]
    [InlineData("Auth:Authority=https://id.example;Auth:Audience=orders", "but APP_API_TOKEN is not set")]
    [InlineData("Auth:Mode=jwt;APP_API_TOKEN=t", "nothing says whose tokens are taken")]
    [InlineData("Auth:Mode=off", "Auth:Mode is 'off'; expected jwt, none, or nothing.")]
    public void A_service_that_would_be_open_by_mistake_does_not_start(string settings, string why)
    {
        var refused = Assert.Throws<InvalidOperationException>(() => Authentication.From(Settings(settings)));

        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("urls=http://localhost:5101", false)]
    [InlineData("urls=http://+:8080;Auth:Mode=none", false)]
    [InlineData("Auth:Mode=none;Auth:Authority=https://id.example", false)]
    [InlineData("urls=http://+:8080;Auth:Authority=https://id.example;Auth:Audience=orders;APP_API_TOKEN=t", true)]
    [InlineData("Authentication:Schemes:Bearer:ValidIssuer=dotnet-user-jwts;APP_API_TOKEN=t", true)]
    public void Whether_clients_say_who_they_are_is_a_matter_of_settings(string settings, bool isOn) =>
        Assert.Equal(isOn, Authentication.From(Settings(settings)).IsOn);

    private static ConfigurationManager Settings(string settings)
    {
        var configuration = new ConfigurationManager();
        foreach (var pair in settings.Split(';'))
            configuration[pair.Split('=')[0]] = pair.Split('=')[1];
        return configuration;
    }

    private static void Map(WebApplication app)
    {
        app.MapTopic("letters", "post", (_, _) => Task.CompletedTask);
        app.MapGet("/customers/{customerId}/letters", () => TypedResults.Ok()).RequireCustomerOfRoute();
        app.MapGet("/forgotten", () => TypedResults.Ok());
        app.MapPost("/letters/{id}/recall", () => TypedResults.Ok()).RequireCaller("post");
    }

    private static async Task<(HttpStatusCode Status, string? Type)> AskAsync(ServiceHost host, string path, string? token)
    {
        using var answer = await SendAsync(host, HttpMethod.Get, path, token);
        return (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType == "application/problem+json"
            ? (await JsonAsync(answer)).GetProperty("type").GetString()
            : null);
    }

    private static async Task<HttpResponseMessage> SendAsync(
        ServiceHost host, HttpMethod method, string path, string? token, params (string Name, string? Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        foreach (var (name, value) in headers)
        {
            if (value is not null)
                request.Headers.TryAddWithoutValidation(name, value);
        }

        return await host.Http.SendAsync(request, Cancellation);
    }
}
