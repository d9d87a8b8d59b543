using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>The state API over both protocols; every test runs on every store.</summary>
public abstract class StateApiContract : IAsyncLifetime
{
    private EmbeddedDapr _dapr = null!;
    private HttpClient _http = null!;
    private GrpcChannel _channel = null!;
    private Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient _grpc = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    protected virtual bool AnswersAKeyOnce => false;

    public async ValueTask InitializeAsync()
    {
        _dapr = await Sidecars.StartAsync(
            Sidecars.App("one", Store("store"), Store("shared", ("keyPrefix", "none"))),
            Sidecars.App("two", Store("store"), Store("shared", ("keyPrefix", "none"))));
        _http = Sidecars.Http(_dapr["one"]);
        _channel = Sidecars.Grpc(_dapr["one"]);
        _grpc = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(_channel);
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _http.Dispose();
        _channel.Dispose();
        await _dapr.DisposeAsync();
    }

    [Fact]
    public async Task Http_keeps_values_as_go_would_write_them_and_grpc_keeps_bytes()
    {
        Assert.Equal(HttpStatusCode.NoContent, await PostAsync("/v1.0/state/store", """[{"key":"a","value":{ "z" : 1.10, "a":"<é🍵" }}]"""));
        await SaveAsync("b", """{ "z" : 1.10 }""");

        Assert.Equal("""{"a":"\u003cé🍵","z":1.1}""", await GetAsync("a"));
        Assert.Equal("""{ "z" : 1.10 }""", await GetAsync("b"));
    }

    [Theory]
    [InlineData("a/b")]
    [InlineData("a%2Fb")]
    [InlineData("a b|c%d+e?f#g")]
    [InlineData("é🍵")]
    public async Task Any_key_written_over_grpc_is_found_over_http(string key)
    {
        await SaveAsync(key, "1");

        Assert.Equal("1", await _http.GetStringAsync(new Uri($"/v1.0/state/store/{Uri.EscapeDataString(key)}", UriKind.Relative), Cancellation));
    }

    [Fact]
    public async Task Applications_share_keys_only_where_the_store_has_no_prefix()
    {
        using var other = Sidecars.Http(_dapr["two"]);
        await PostAsync("/v1.0/state/store", """[{"key":"k","value":1}]""");
        await PostAsync("/v1.0/state/shared", """[{"key":"k","value":1}]""");

        Assert.Equal(HttpStatusCode.NoContent, (await other.GetAsync(new Uri("/v1.0/state/store/k", UriKind.Relative), Cancellation)).StatusCode);
        Assert.Equal("1", await other.GetStringAsync(new Uri("/v1.0/state/shared/k", UriKind.Relative), Cancellation));
    }

    [Fact]
    public async Task A_stale_etag_is_409_over_http_and_Aborted_over_grpc()
    {
        await SaveAsync("a", "1");
        var stale = await GetETagAsync("a");
        await SaveAsync("a", "2");
        using var delete = new HttpRequestMessage(HttpMethod.Delete, new Uri("/v1.0/state/store/a", UriKind.Relative));
        delete.Headers.TryAddWithoutValidation("If-Match", stale);

        Assert.Equal(HttpStatusCode.Conflict, await PostAsync("/v1.0/state/store", $$"""[{"key":"a","value":3,"etag":"{{stale}}"}]"""));
        Assert.Equal(HttpStatusCode.Conflict, (await _http.SendAsync(delete, Cancellation)).StatusCode);
        Assert.Equal(StatusCode.Aborted, (await Assert.ThrowsAsync<RpcException>(() => SaveAsync("a", "3", stale))).StatusCode);
        Assert.Equal("2", await GetAsync("a"));
    }

    [Fact]
    public async Task A_failed_transaction_is_500_over_http_and_Internal_over_grpc_and_leaves_nothing()
    {
        await SaveAsync("taken", "1");
        const string Body = """
            {"operations":[{"operation":"upsert","request":{"key":"new","value":1}},
                           {"operation":"upsert","request":{"key":"taken","value":2,"options":{"concurrency":"first-write"}}}]}
            """;
        var request = new ExecuteStateTransactionRequest
        {
            StoreName = "store",
            Operations =
            {
                new TransactionalStateOperation { OperationType = "delete", Request = new StateItem { Key = "taken" } },
                new TransactionalStateOperation { OperationType = "upsert", Request = Item("absent", "1", "stale") },
            },
        };

        Assert.Equal(HttpStatusCode.InternalServerError, await PostAsync("/v1.0/state/store/transaction", Body));
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await _grpc.ExecuteStateTransactionAsync(request, cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
        Assert.Equal("", await GetAsync("new"));
        Assert.Equal("1", await GetAsync("taken"));
    }

    [Fact]
    public async Task Good_items_of_a_save_are_written_beside_bad_ones()
    {
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await _grpc.SaveStateAsync(
            new SaveStateRequest
            {
                StoreName = "store",
                States = { Item("good", "1"), Item("stale", "1", "x"), new StateItem { Key = "ttl", Metadata = { ["ttlInSeconds"] = "soon" } } },
            },
            cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
        Assert.Equal("1", await GetAsync("good"));
        Assert.Equal("", await GetAsync("ttl"));
    }

    /// <summary>components-contrib looks for it by this spelling alone.</summary>
    [Fact]
    public async Task A_time_to_live_that_is_spelled_otherwise_is_none()
    {
        await PostAsync("/v1.0/state/store", """[{"key":"a","value":1,"metadata":{"ttlInSeconds":"1000"}},{"key":"b","value":1,"metadata":{"TTLInSeconds":"1000"}}]""");

        using var known = await _http.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation);
        using var unknown = await _http.GetAsync(new Uri("/v1.0/state/store/b", UriKind.Relative), Cancellation);

        Assert.True(known.Headers.Contains("metadata.ttlExpireTime"));
        Assert.Equal(HttpStatusCode.OK, unknown.StatusCode);
        Assert.False(unknown.Headers.Contains("metadata.ttlExpireTime"));
    }

    /// <summary>A store that asks its database once for all keys gets a row once, however often its key was named (components-contrib, BulkGet).</summary>
    [Fact]
    public async Task A_key_that_is_named_twice_is_answered_as_often_as_the_store_answers_it()
    {
        await SaveAsync("a", "1");
        using var content = new StringContent("""{"keys":["a","absent","a","absent"]}""");

        using var http = await _http.PostAsync(new Uri("/v1.0/state/store/bulk", UriKind.Relative), content, Cancellation);
        var grpc = await _grpc.GetBulkStateAsync(new GetBulkStateRequest { StoreName = "store", Keys = { "a", "absent", "a", "absent" } }, cancellationToken: Cancellation);

        var keys = JsonNode.Parse(await http.Content.ReadAsStringAsync(Cancellation))!.AsArray().Select(item => (string?)item!["key"]);
        Assert.Equal(AnswersAKeyOnce ? ["a", "absent", "absent", ""] : ["a", "absent", "a", "absent"], keys);
        Assert.Equal(AnswersAKeyOnce ? ["a", "absent", "absent"] : ["a", "absent", "a", "absent"], grpc.Items.Select(item => item.Key));
    }

    [Theory]
    [InlineData("""[{"key":"a","value":2,"etag":1}]""")]
    [InlineData("""[{"key":7,"value":2}]""")]
    [InlineData("""[{"key":"a","value":2,"options":"first-write"}]""")]
    [InlineData("""[{"key":"a","value":2,"metadata":{"ttlInSeconds":5}}]""")]
    public async Task A_field_of_the_wrong_type_is_refused_and_not_passed_over(string body)
    {
        await SaveAsync("a", "1");

        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync("/v1.0/state/store", body));
        Assert.Equal("1", await GetAsync("a"));
    }

    [Fact]
    public async Task Field_names_are_found_in_any_casing_as_go_does()
    {
        Assert.Equal(HttpStatusCode.NoContent, await PostAsync("/v1.0/state/store", """[{"Key":"a","VALUE":2}]"""));

        Assert.Equal("2", await GetAsync("a"));
    }

    [Fact]
    public async Task A_body_larger_than_the_limit_is_refused_and_nothing_is_written()
    {
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync("/v1.0/state/store", $$"""[{"key":"large","value":"{{new string('x', 5 * 1024 * 1024)}}"}]"""));

        Assert.Equal("", await GetAsync("large"));
    }

    [Fact]
    public async Task A_bulk_delete_removes_what_it_may()
    {
        await SaveAsync("a", "1");
        await SaveAsync("b", "1");

        await Assert.ThrowsAsync<RpcException>(async () => await _grpc.DeleteBulkStateAsync(
            new DeleteBulkStateRequest { StoreName = "store", States = { Item("a", "", "stale"), new StateItem { Key = "b" } } }, cancellationToken: Cancellation));

        Assert.Equal("1", await GetAsync("a"));
        Assert.Equal("", await GetAsync("b"));
    }

    private protected abstract ComponentResource Store(string name, params (string Name, string Value)[] metadata);

    private static StateItem Item(string key, string value, string? etag = null)
    {
        var item = new StateItem { Key = key, Value = ByteString.CopyFromUtf8(value) };
        if (etag is not null)
            item.Etag = new Etag { Value = etag };
        return item;
    }

    private async Task SaveAsync(string key, string value, string? etag = null) =>
        await _grpc.SaveStateAsync(new SaveStateRequest { StoreName = "store", States = { Item(key, value, etag) } }, cancellationToken: Cancellation);

    private async Task<string> GetAsync(string key) =>
        (await _grpc.GetStateAsync(new GetStateRequest { StoreName = "store", Key = key }, cancellationToken: Cancellation)).Data.ToStringUtf8();

    private async Task<string> GetETagAsync(string key) =>
        (await _grpc.GetStateAsync(new GetStateRequest { StoreName = "store", Key = key }, cancellationToken: Cancellation)).Etag;

    private async Task<HttpStatusCode> PostAsync(string path, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await _http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
        return answer.StatusCode;
    }
}

public sealed class StateApiOnInMemoryTests : StateApiContract
{
    private protected override ComponentResource Store(string name, params (string Name, string Value)[] metadata) => Sidecars.Component(name, "state.in-memory", metadata);
}

public sealed class StateApiOnSqliteTests : StateApiContract
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("state-api-");

    protected override bool AnswersAKeyOnce => true;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private protected override ComponentResource Store(string name, params (string Name, string Value)[] metadata) =>
        Sidecars.Component(name, "state.sqlite", [("connectionString", Path.Combine(_folder.FullName, name + ".db")), .. metadata]);
}
