using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>The key to a sidecar is nobody else's: no application sees what its caller sent as dapr-api-token, whether the sidecar asks for one or not.</summary>
public sealed class CallersTokenTests
{
    private const string Token = "dapr-api-token";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Ways => new()
    {
        { "GET", "/v1.0/invoke/one/method/hello" },
        { "PUT", "/v1.0/actors/T/1/method/m" },
        { "POST", "/v1.0/publish/pubsub/topic?metadata.dapr-api-token=secret" },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Does_not_reach_the_application_over_http(string verb, string path)
    {
        foreach (var (asked, own) in new (string?, string?)[] { (null, null), ("secret", null), ("secret", "out"), (null, "out") })
        {
            await using var app = await StartAppAsync();
            await using var dapr = await StartAsync(app, asked, own);
            using var http = Sidecars.Http(dapr["one"]);
            using var request = new HttpRequestMessage(new HttpMethod(verb), new Uri(path, UriKind.Relative)) { Headers = { { Token, "secret" } } };

            using var answer = await http.SendAsync(request, Cancellation);
            await app.NextCallAsync();

            Assert.True(answer.IsSuccessStatusCode);
            Assert.Equal(own ?? "", app.LastHeaders[Token].ToString());
        }
    }

    [Fact]
    public async Task Does_not_reach_the_application_over_grpc_nor_does_what_a_caller_says_about_itself()
    {
        await using var app = await StartAppAsync();
        await using var dapr = await StartAsync(app, asked: null, own: null);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var request = new InvokeServiceRequest { Id = "one", Message = new() { Method = "hello", HttpExtension = new() { Verb = HTTPExtension.Types.Verb.Get } } };

        await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).InvokeServiceAsync(
            request, new Metadata { { Token, "secret" }, { "dapr-caller-app-id", "somebody" }, { "x-own", "mine" } }, cancellationToken: Cancellation);
        await app.NextCallAsync();

        Assert.Equal(("", "", "mine"), (app.LastHeaders[Token].ToString(), app.LastHeaders["dapr-caller-app-id"].ToString(), app.LastHeaders["x-own"].ToString()));
    }

    private static async Task<TestApp> StartAppAsync() => await TestApp.StartAsync(
        context => context.Response.WriteAsync(context.Request.Path == "/dapr/subscribe" ? "[]" : """{"entities":["T"]}"""));

    private static async Task<EmbeddedDapr> StartAsync(TestApp app, string? asked, string? own)
    {
        var subscription = new SubscriptionResource("s", "pubsub", "topic", [new RouteRule("", "/topic")], null, new Dictionary<string, string>(), null, [], default);
        var dapr = await Sidecars.StartAsync(new SidecarOptions
        {
            AppId = "one",
            AppPort = app.Port,
            ApiToken = asked,
            AppApiToken = own,
            Resources = new ResourceSet([Sidecars.Component("pubsub", "pubsub.in-memory")], [subscription], [], []),
        });
        await dapr.Ready.WaitAsync(Cancellation);
        Assert.Equal(["GET /dapr/config", "GET /dapr/subscribe"], [await app.NextCallAsync(), await app.NextCallAsync()]);
        return dapr;
    }
}
