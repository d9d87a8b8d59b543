using System.Net;
using System.Text.Json.Nodes;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>What daprd reads in the bodies of the state API, and what it says of those that it cannot read, where its recordings are silent.</summary>
public sealed class StateBodiesTests : IAsyncLifetime
{
    private const string Malformed = "failed deserializing HTTP body: ";

    private EmbeddedDapr _dapr = null!;
    private HttpClient _http = null!;
    private GrpcChannel _channel = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")));
        _http = Sidecars.Http(_dapr["one"]);
        _channel = Sidecars.Grpc(_dapr["one"]);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        _channel.Dispose();
        await _dapr.DisposeAsync();
    }

    /// <summary>json.NewDecoder(...).Decode reads one value.</summary>
    [Fact]
    public async Task What_stands_behind_the_first_JSON_value_of_a_body_is_not_looked_at()
    {
        Assert.Equal((HttpStatusCode.NoContent, ""), await PostAsync("", """[{"key":"a","value":1}] x"""));
        Assert.Equal(
            (HttpStatusCode.NoContent, ""),
            await PostAsync("/transaction", """{"operations":[{"operation":"upsert","request":{"key":"b","value":2}}]}]"""));
        var (status, body) = await PostAsync("/bulk", """{"keys":["a","b"]}{"keys":[]}""");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal([1, 2], JsonNode.Parse(body)!.AsArray().Select(item => (int)item!["data"]!));
    }

    /// <summary>encoding/json, by the names of daprd's types (pkg/api/http/requests.go, http.go).</summary>
    [Theory]
    [InlineData("/bulk", "[]", "json: cannot unmarshal array into Go value of type http.BulkGetRequest")]
    [InlineData("/bulk", "1", "json: cannot unmarshal number into Go value of type http.BulkGetRequest")]
    [InlineData("/bulk", """{"keys":"a"}""", "json: cannot unmarshal string into Go struct field BulkGetRequest.keys of type []string")]
    [InlineData("/bulk", """{"keys":["a",5]}""", "json: cannot unmarshal number into Go struct field BulkGetRequest.keys of type string")]
    [InlineData("/bulk", """{"keys":[],"metadata":[]}""", "json: cannot unmarshal array into Go struct field BulkGetRequest.metadata of type map[string]string")]
    [InlineData("/bulk", """{"keys":[],"metadata":{"a":true}}""", "json: cannot unmarshal bool into Go struct field BulkGetRequest.metadata of type string")]
    [InlineData("/bulk", """{"keys":[],"parallelism":"2"}""", "json: cannot unmarshal string into Go struct field BulkGetRequest.parallelism of type int")]
    [InlineData("/bulk", """{"keys":[],"parallelism":1.5}""", "json: cannot unmarshal number 1.5 into Go struct field BulkGetRequest.parallelism of type int")]
    [InlineData("/transaction", "[]", "json: cannot unmarshal array into Go value of type http.stateTransactionRequestBody")]
    [InlineData(
        "/transaction", """{"operations":{}}""",
        "json: cannot unmarshal object into Go struct field stateTransactionRequestBody.operations of type []http.stateTransactionRequestBodyOperation")]
    [InlineData(
        "/transaction", """{"operations":["x"]}""",
        "json: cannot unmarshal string into Go struct field stateTransactionRequestBody.operations of type http.stateTransactionRequestBodyOperation")]
    [InlineData(
        "/transaction", """{"operations":[{"operation":5}]}""",
        "json: cannot unmarshal number into Go struct field stateTransactionRequestBodyOperation.operations.operation of type string")]
    [InlineData(
        "/transaction", """{"operations":[],"metadata":{"a":1}}""", "json: cannot unmarshal number into Go struct field stateTransactionRequestBody.metadata of type string")]
    [InlineData(
        "/transaction", """{"operations":[{"operation":"upsert","request":{"key":"a","value":[1e400]}}]}""",
        "json: cannot unmarshal number 1e400 into Go struct field stateTransactionRequestBodyOperation.operations.request of type float64")]
    public async Task A_wrong_type_is_told_as_Go_tells_it(string path, string body, string expected) => await RefusedAsync(path, body, expected);

    /// <summary>mapstructure, through which daprd reads the operations of a transaction over HTTP: all that is wrong, in order of the text.</summary>
    [Theory]
    [InlineData("upsert", """{"key":5}""", "1 error(s) decoding:\n\n* 'Key' expected type 'string', got unconvertible type 'float64', value: '5'")]
    [InlineData("delete", """{"KEY":true}""", "1 error(s) decoding:\n\n* 'Key' expected type 'string', got unconvertible type 'bool', value: 'true'")]
    [InlineData("upsert", """{"key":"a","etag":{"b":[1,"x"]}}""", "1 error(s) decoding:\n\n* 'ETag' expected type 'string', got unconvertible type 'map[string]interface {}', value: 'map[b:[1 x]]'")]
    [InlineData("upsert", """{"key":["a"]}""", "1 error(s) decoding:\n\n* 'Key' expected type 'string', got unconvertible type '[]interface {}', value: '[a]'")]
    [InlineData("upsert", """{"key":"a","metadata":{"ttlInSeconds":5}}""", "1 error(s) decoding:\n\n* 'Metadata[ttlInSeconds]' expected type 'string', got unconvertible type 'float64', value: '5'")]
    [InlineData("upsert", """{"key":"a","metadata":"x"}""", "1 error(s) decoding:\n\n* 'Metadata' expected a map, got 'string'")]
    [InlineData("upsert", """{"key":"a","options":[]}""", "1 error(s) decoding:\n\n* 'Options' expected a map, got 'slice'")]
    [InlineData("upsert", """{"key":"a","options":{"concurrency":1}}""", "1 error(s) decoding:\n\n* 'Options.Concurrency' expected type 'string', got unconvertible type 'float64', value: '1'")]
    [InlineData("upsert", """{"key":1,"contentType":2}""", "2 error(s) decoding:\n\n* 'ContentType' expected type 'string', got unconvertible type 'float64', value: '2'\n* 'Key' expected type 'string', got unconvertible type 'float64', value: '1'")]
    [InlineData("upsert", "\"x\"", "'' expected a map, got 'string'")]
    [InlineData("delete", "1", "'' expected a map, got 'float64'")]
    [InlineData("delete", "[]", "'' expected a map, got 'slice'")]
    public async Task A_wrong_type_in_an_operation_is_told_as_mapstructure_tells_it(string operation, string request, string expected) =>
        await RefusedAsync("/transaction", $$"""{"operations":[{"operation":"{{operation}}","request":{{request}} }]}""", expected);

    [Fact]
    public async Task A_null_is_an_empty_text_to_Go()
    {
        Assert.Equal("""[{"key":""}]""", (await PostAsync("/bulk", """{"keys":[null]}""")).Body);
        Assert.Equal((HttpStatusCode.NoContent, ""), await PostAsync("", """[{"key":"a","value":1,"metadata":{"ttlInSeconds":null}}]"""));
        Assert.Equal(
            (HttpStatusCode.NoContent, ""),
            await PostAsync("/transaction", """{"operations":[{"operation":"upsert","request":{"key":"b","value":1,"etag":null,"options":null,"metadata":{"x":null}}}]}"""));
        Assert.Equal("""[{"key":"a","data":1},{"key":"b","data":1}]""", WithoutTags((await PostAsync("/bulk", """{"keys":["a","b"]}""")).Body));
    }

    /// <summary>A delete has no content type (components-contrib, state/requests.go), nor is an operation read that daprd does not know.</summary>
    [Fact]
    public async Task What_daprd_does_not_read_is_not_refused()
    {
        Assert.Equal(HttpStatusCode.NoContent, (await PostAsync("/transaction", """{"operations":[{"operation":"delete","request":{"key":"a","contentType":5}}]}""")).Status);
        var (status, body) = await PostAsync("/transaction", """{"operations":[{"operation":"merge","request":5}]}""");

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("operation type merge not supported", body);
    }

    /// <summary>components-contrib, state/in-memory/in_memory.go: of a delete Multi asks for the options of something that has none.</summary>
    [Theory]
    [InlineData("upsert", HttpStatusCode.InternalServerError)]
    [InlineData("delete", HttpStatusCode.NoContent)]
    public async Task In_memory_a_transaction_looks_at_words_that_no_option_has_only_where_it_writes(string operation, HttpStatusCode expected)
    {
        var (status, _) = await PostAsync(
            "/transaction", $$"""{"operations":[{"operation":"{{operation}}","request":{"key":"a","value":1,"options":{"concurrency":"sometimes"} } }]}""");

        Assert.Equal(expected, status);
    }

    /// <summary>json.Unmarshal, whose error goes out as it is (pkg/api/grpc/grpc.go, SaveState).</summary>
    [Theory]
    [InlineData("", "unexpected end of JSON input")]
    [InlineData("{\"a\":", "unexpected end of JSON input")]
    [InlineData("{} x", "invalid character 'x' after top-level value")]
    [InlineData("1 \\", "invalid character '\\\\' after top-level value")]
    [InlineData("nope", "invalid character 'o' in literal null (expecting 'u')")]
    [InlineData("1e400", "json: cannot unmarshal number 1e400 into Go value of type float64")]
    public async Task A_value_over_gRPC_that_says_it_is_JSON_and_is_none_is_refused_with_Gos_bare_words(string value, string expected)
    {
        var item = new StateItem { Key = "a", Value = ByteString.CopyFromUtf8(value), Metadata = { ["contentType"] = "application/json" } };

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(_channel).SaveStateAsync(
            new SaveStateRequest { StoreName = "store", States = { item } }, cancellationToken: Cancellation));

        Assert.Equal((StatusCode.Unknown, expected), (failure.StatusCode, failure.Status.Detail));
        Assert.DoesNotContain(failure.Trailers, entry => entry.Key == "grpc-status-details-bin");
    }

    /// <summary>url.Values and getMetadataFromRequest: names are exact, and of several values the first counts.</summary>
    [Fact]
    public async Task Of_a_metadata_parameter_that_comes_several_times_the_first_counts_and_its_name_is_exact()
    {
        await PostAsync("?metadata.ttlInSeconds=1000&metadata.ttlInSeconds=soon&metadata.TTLINSECONDS=x", """[{"key":"a","value":1}]""");
        await PostAsync("?Metadata.ttlInSeconds=1000", """[{"key":"b","value":1}]""");

        using var first = await _http.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation);
        using var other = await _http.GetAsync(new Uri("/v1.0/state/store/b", UriKind.Relative), Cancellation);

        Assert.Equal((HttpStatusCode.OK, true), (first.StatusCode, first.Headers.Contains("metadata.ttlExpireTime")));
        Assert.Equal((HttpStatusCode.OK, false), (other.StatusCode, other.Headers.Contains("metadata.ttlExpireTime")));
    }

    [Theory]
    [InlineData("", "one||k")]
    [InlineData("default", "default.one||k")]
    [InlineData("shop", "shop.one||k")]
    public async Task A_key_has_the_namespace_before_it_only_where_there_is_one(string name, string expected)
    {
        var keys = new List<string>();
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [Sidecars.App("one", Sidecars.Component("store", "state.in-memory", ("keyPrefix", "namespace"))) with { Namespace = name }],
                BeforeCall = (call, _) =>
                {
                    keys.AddRange(call.Subjects);
                    return default;
                },
            },
            Cancellation);
        using var http = Sidecars.Http(dapr["one"]);

        await http.GetAsync(new Uri("/v1.0/state/store/k", UriKind.Relative), Cancellation);

        Assert.Equal([expected], keys);
    }

    private static string WithoutTags(string items)
    {
        var array = JsonNode.Parse(items)!.AsArray();
        foreach (var item in array)
            item!.AsObject().Remove("etag");
        return array.ToJsonString();
    }

    private async Task RefusedAsync(string path, string body, string expected)
    {
        var (status, answer) = await PostAsync(path, body);

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(("ERR_MALFORMED_REQUEST", Malformed + expected), ((string)JsonNode.Parse(answer)!["errorCode"]!, (string)JsonNode.Parse(answer)!["message"]!));
    }

    private async Task<(HttpStatusCode Status, string Body)> PostAsync(string path, string body)
    {
        using var answer = await _http.PostAsync(new Uri("/v1.0/state/store" + path, UriKind.Relative), new StringContent(body), Cancellation);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }
}
