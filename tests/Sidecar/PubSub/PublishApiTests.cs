using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Api.PubSub;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>What goes to the broker of what is published over HTTP, where the recordings of daprd are silent.</summary>
public sealed class PublishApiTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<string> _published = [];
    private EmbeddedDapr _dapr = null!;
    private HttpClient _http = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [Sidecars.App("one", Sidecars.Component("pubsub", "pubsub.in-memory"))],
                BeforeCall = (call, _) =>
                {
                    foreach (var payload in call.Payloads)
                        _published.Enqueue(Encoding.UTF8.GetString(payload.Span));
                    return default;
                },
            },
            Cancellation);
        _http = Sidecars.Http(_dapr["one"]);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _dapr.DisposeAsync();
    }

    /// <summary>pkg/api/http/util.go: ConvertEventToBytes; the offsets are those of encoding/base64.</summary>
    [Theory]
    [InlineData("""{"entryId":"1","event":"x"}""", "error: mismatch between contentType and event")]
    [InlineData("""{"entryId":"1","event":"x","contentType":""}""", "error: mismatch between contentType and event")]
    [InlineData("""{"entryId":"1","event":"AB*=","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 2")]
    [InlineData("""{"entryId":"1","event":"AAAA BBB","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 4")]
    [InlineData("""{"entryId":"1","event":"AAAAB","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 4")]
    [InlineData("""{"entryId":"1","event":"AAAABBB","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 4")]
    [InlineData("""{"entryId":"1","event":"A===","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 1")]
    [InlineData("""{"entryId":"1","event":"AA=","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 3")]
    [InlineData("""{"entryId":"1","event":"AA=A","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 2")]
    [InlineData("""{"entryId":"1","event":"AA==AAAA","contentType":"application/octet-stream"}""", "illegal base64 data at input byte 4")]
    public async Task An_event_in_bulk_that_is_not_what_its_content_type_says_is_refused(string entry, string expected)
    {
        var (status, answer) = await PostAsync("/v1.0/publish/bulk/pubsub/topic", $"[{entry}]");

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(expected + "\"", answer);
        Assert.Empty(_published);
    }

    [Theory]
    [InlineData("AAH/", "AAH/")]
    [InlineData("AA\\nH/\\r\\n", "AAH/")]
    [InlineData("/x==", "/w==")]
    public async Task Base64_is_read_as_Go_reads_it(string given, string expected)
    {
        var (status, _) = await PostAsync("/v1.0/publish/bulk/pubsub/topic", $$"""[{"entryId":"1","event":"{{given}}","contentType":"application/octet-stream"}]""");

        Assert.Equal(HttpStatusCode.NoContent, status);
        Assert.Equal(expected, (string)JsonNode.Parse(Assert.Single(_published))!["data_base64"]!);
    }

    /// <summary>components-contrib, metadata/utils.go: IsRawPayload.</summary>
    [Theory]
    [InlineData("?metadata.rawPayload=", false)]
    [InlineData("?metadata.rawpayload=true", false)]
    [InlineData("?metadata.RAWPAYLOAD=maybe", false)]
    [InlineData("?Metadata.rawPayload=true", false)]
    [InlineData("?metadata.rawPayload=true&metadata.rawPayload=false", true)]
    [InlineData("?metadata.rawPayload=t", true)]
    public async Task A_payload_is_raw_only_by_the_exact_name_of_the_field_and_a_value(string query, bool isRaw)
    {
        var (status, _) = await PostAsync("/v1.0/publish/pubsub/topic" + query, "1");

        Assert.Equal(HttpStatusCode.NoContent, status);
        Assert.Equal(isRaw, Assert.Single(_published) == "1");
    }

    /// <summary>components-contrib, contenttype: what stands before the semicolon is compared as it is.</summary>
    [Theory]
    [InlineData("application/json", "{\"a\":1}")]
    [InlineData("Application/JSON;charset=utf-8", "{\"a\":1}")]
    [InlineData("application/json ; charset=utf-8", "\"{\\\"a\\\":1}\"")]
    public async Task A_content_type_with_a_blank_before_the_semicolon_is_another_one(string contentType, string expected)
    {
        await PostAsync("/v1.0/publish/pubsub/topic", """{"a":1}""", contentType);

        Assert.Equal(expected, JsonNode.Parse(Assert.Single(_published))!["data"]!.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
    }

    /// <summary>components-contrib, pubsub/envelope.go: unmarshalPrecise.</summary>
    [Theory]
    [InlineData("application/json", "{\"a\":1} x", "{\"a\":1}")]
    [InlineData("application/json", "1 2", "1")]
    [InlineData("application/cloudevents+json", """{"id":"1","source":"s","type":"t","specversion":"1.0","data":[1]} {}""", "[1]")]
    public async Task The_data_of_an_event_is_the_first_JSON_value_of_its_body(string contentType, string body, string expected)
    {
        var (status, _) = await PostAsync("/v1.0/publish/pubsub/topic", body, contentType);

        Assert.Equal(HttpStatusCode.NoContent, status);
        Assert.Equal(expected, JsonNode.Parse(Assert.Single(_published))!["data"]!.ToJsonString());
    }

    [Fact]
    public async Task What_stands_behind_a_list_of_events_is_not_looked_at()
    {
        var (status, _) = await PostAsync("/v1.0/publish/bulk/pubsub/topic", """[{"entryId":"1","event":1,"contentType":"application/json"}] x""");

        Assert.Equal(HttpStatusCode.NoContent, status);
        Assert.Single(_published);
    }

    /// <summary>components-contrib, metadata/utils.go: TryGetTTL.</summary>
    [Theory]
    [InlineData("ttl", "90s", "2030-01-01T00:01:30Z")]
    [InlineData("TTLInSeconds", "1m30s", "2030-01-01T00:01:30Z")]
    [InlineData("ttlInSeconds", "90", "2030-01-01T00:01:30Z")]
    [InlineData("ttl", "1.5h", "2030-01-01T01:30:00Z")]
    [InlineData("ttl", "0s", "2030-01-01T00:00:00Z")]
    [InlineData("ttl", "0", "2030-01-01T00:00:00Z")]
    [InlineData("ttl", "-5s", "2030-01-01T00:00:00Z")]
    [InlineData("ttl", "-5", null)]
    [InlineData("ttl", "soon", null)]
    [InlineData("ttl", "", null)]
    [InlineData("ttl", "9223372036854775807", "2322-04-12T23:47:16Z")]
    public void An_event_expires_after_a_duration_or_a_number_of_seconds(string field, string value, string? expected) =>
        Assert.Equal(expected, ExpirationOf(new() { [field] = value }));

    [Theory]
    [InlineData("1m", "2030-01-01T00:01:00Z")]
    [InlineData("", null)]
    public void The_shorter_name_goes_before_the_longer_one(string ttl, string? expected) =>
        Assert.Equal(expected, ExpirationOf(new() { ["ttlInSeconds"] = "5", ["ttl"] = ttl }));

    private static string? ExpirationOf(Dictionary<string, string> metadata)
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var origin = new EventOrigin("one", "pubsub", "topic", "", "", time, BrokerDropsExpired: false);
        return (string?)JsonNode.Parse(CloudEventEnvelope.Make(origin, "1"u8.ToArray(), "application/json", metadata))!["expiration"];
    }

    private async Task<(HttpStatusCode Status, string Body)> PostAsync(string path, string body, string contentType = "application/json")
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        using var answer = await _http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }
}
