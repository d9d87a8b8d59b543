using System.Net;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>The state of actors over HTTP, where the recordings of daprd are silent.</summary>
public sealed class ActorStateApiTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("actor-state-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>The store reads it: strconv.Atoi in memory, state/utils/ttl.go for SQLite.</summary>
    [Theory]
    [InlineData("state.in-memory", "x", "strconv.Atoi: parsing \"x\": invalid syntax")]
    [InlineData("state.sqlite", "x", "error parsing TTL: incorrect value for metadata 'ttlInSeconds': strconv.ParseInt: parsing \"x\": invalid syntax")]
    [InlineData("state.sqlite", "-5", "error parsing TTL: incorrect value for metadata 'ttlInSeconds': must be -1 or greater")]
    [InlineData("state.in-memory", "-5", null)]
    [InlineData("state.sqlite", "-1", null)]
    [InlineData("state.sqlite", "", null)]
    public async Task A_time_to_live_is_read_by_the_store_and_refused_in_its_words(string store, string ttl, string? expected)
    {
        var (status, message) = await WriteAsync(store, $$"""[{"operation":"upsert","request":{"key":"k","value":1,"metadata":{"ttlInSeconds":"{{ttl}}"} } }]""");

        Assert.Equal(expected is null ? HttpStatusCode.NoContent : HttpStatusCode.InternalServerError, status);
        Assert.Equal(expected is null ? null : "error saving actor transaction state: " + expected, message);
    }

    /// <summary>pkg/actors/api/transactional.go.</summary>
    [Theory]
    [InlineData("""{"operation":"upsert"}""", "request data is empty")]
    [InlineData("""{"request":null}""", "request data is empty")]
    [InlineData("null", "request data is empty")]
    [InlineData("""{"request":{"key":"k"}}""", "operation is empty")]
    [InlineData("""{"operation":"upsert","request":{}}""", "missing key")]
    [InlineData("""{"OPERATION":"merge","Request":{"KEY":"k"}}""", "operation type merge not supported")]
    [InlineData("""{"Operation":"delete","Request":{"KEY":""}}""", "missing key")]
    [InlineData("""{"operation":"merge","request":{"key":"k"}}""", "operation type merge not supported")]
    [InlineData("""{"operation":"merge","request":5}""", "operation type merge not supported")]
    [InlineData("""{"operation":"upsert","request":"x"}""", "'' expected a map, got 'string'")]
    [InlineData("""{"operation":"delete","request":{"key":5}}""", "1 error(s) decoding:\n\n* 'Key' expected type 'string', got unconvertible type 'float64', value: '5'")]
    [InlineData("""{"operation":"upsert","request":{"key":"k","metadata":{"a":true}}}""", "1 error(s) decoding:\n\n* 'Metadata[a]' expected type 'string', got unconvertible type 'bool', value: 'true'")]
    public async Task An_operation_that_cannot_be_done_is_told(string operation, string expected)
    {
        var (status, message) = await WriteAsync("state.in-memory", $"[{operation}] behind it");

        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.Equal("error saving actor transaction state: " + expected, message);
    }

    private async Task<(HttpStatusCode Status, string? Message)> WriteAsync(string store, string body)
    {
        await using var app = await TestApp.StartAsync(context => context.Response.WriteAsync("""{"entities":["T"]}"""));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App(
            "one",
            Sidecars.Component(
                "store", store, [("actorStateStore", "true"), .. store == "state.sqlite" ? [("connectionString", Path.Combine(_folder.FullName, "state.db"))] : Array.Empty<(string, string)>()])) with
        {
            AppPort = app.Port,
            Configuration = ConfigurationResource.Default with { EnabledFeatures = ["ActorStateTTL"] },
        });
        await dapr.Ready.WaitAsync(Cancellation);
        using var http = Sidecars.Http(dapr["one"]);
        using var called = await http.PutAsync(new Uri("/v1.0/actors/T/1/method/m", UriKind.Relative), null, Cancellation);
        Assert.True(called.IsSuccessStatusCode);

        using var answer = await http.PostAsync(new Uri("/v1.0/actors/T/1/state", UriKind.Relative), new StringContent(body), Cancellation);

        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        return (answer.StatusCode, text.Length == 0 ? null : (string?)JsonNode.Parse(text)!["message"]);
    }
}
