using System.Net;
using System.Net.Http.Json;
using DaprOrders.Sidecar.Tests.Hosting;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>Events published in bulk that the broker does not take (dapr pkg/api/http/http.go, onBulkPublish).</summary>
public sealed class RefusedBulkPublishTests
{
    [Fact]
    public async Task Which_ones_is_told_in_the_body_and_with_the_reason_in_headers()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var dapr = await EmbeddedDapr.StartAsync(
            new() { Apps = [Sidecars.App("one", Sidecars.Component("pubsub", "pubsub.in-memory"))], BeforeCall = (_, _) => throw new IOException("the \"broker\"\nis gone") },
            cancel);
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.PostAsJsonAsync(
            new Uri("/v1.0/publish/bulk/pubsub/orders", UriKind.Relative), new[] { new { entryId = "1", @event = "x", contentType = "text/plain" } }, cancel);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        const string Body = """{"failedEntries":[{"entryId":"1","error":"the \"broker\"\nis gone"}],"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE"}""";
        Assert.Equal(Body, await answer.Content.ReadAsStringAsync(cancel));
        Assert.Equal(Body, Assert.Single(answer.Headers.GetValues("metadata.responseData")));
        Assert.Equal(
            "api error: code = Internal desc = error when publishing to topic orders in pubsub pubsub: the \"broker\" is gone", Assert.Single(answer.Headers.GetValues("metadata.error")));
    }
}
