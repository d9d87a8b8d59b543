using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>bindings.postgres on a real PostgreSQL, as components-contrib's on its driver.</summary>
public sealed class PostgresBindingTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncLifetime
{
    private PostgresServer _server = null!;
    private EmbeddedDapr _dapr = null!;
    private HttpClient _http = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(PostgresServer.Missing);
        _server = await servers.PostgresAsync();
        _dapr = await Sidecars.StartAsync(Sidecars.App(
            "one", Sidecars.Component("db", "bindings.postgres", ("connectionString", _server.ConnectionString(await _server.NewDatabaseAsync(Cancellation))))));
        _http = Sidecars.Http(_dapr["one"]);
    }

    public async ValueTask DisposeAsync()
    {
        if (_dapr is null)
            return;
        _http.Dispose();
        await _dapr.DisposeAsync();
    }

    [Fact]
    public async Task What_is_executed_tells_how_many_rows_it_changed_and_when()
    {
        using (var created = await InvokeAsync("exec", "CREATE TABLE orders (id int, customer text, price numeric)"))
            Assert.Equal("0", Metadata(created, "rows-affected"));
        const string Insert = "INSERT INTO orders\nVALUES (1, 'grün', 10.50), (2, 'blue', 1e3)";

        using var inserted = await InvokeAsync("exec", Insert);

        Assert.Equal(HttpStatusCode.OK, inserted.StatusCode);
        Assert.Equal(("exec", "2"), (Metadata(inserted, "operation"), Metadata(inserted, "rows-affected")));
        Assert.Equal(Insert.Replace('\n', ' '), System.Text.Encoding.UTF8.GetString(System.Text.Encoding.Latin1.GetBytes(Metadata(inserted, "sql")!)));
        Assert.True(DateTimeOffset.Parse(Metadata(inserted, "start-time")!, null) <= DateTimeOffset.Parse(Metadata(inserted, "end-time")!, null));
        Assert.Matches(@"^[\d.]+(Âµs|ms|s)$", Metadata(inserted, "duration"));
    }

    [Fact]
    public async Task Rows_are_lists_of_values_in_the_JSON_of_Gos_driver()
    {
        using var answer = await InvokeAsync("query", """
            SELECT 1::int2, 12345678901::int8, 1.5::float8, 12345678901234567890.10::numeric, true, NULL::int, 'te"xt'::text, '{"a":[1]}'::jsonb, '\x0102'::bytea,
              '00000000-0000-0000-0000-00000000000f'::uuid, '2026-01-02'::date, '2026-01-02 03:04:05.6'::timestamp, ARRAY[1,NULL,3], ARRAY['a,b','c"d\e'],
              ARRAY[[true],[false]], 'NaN'::numeric, '127.0.0.1'::inet, 'infinity'::timestamp
            """);

        Assert.Equal("query", Metadata(answer, "operation"));
        Assert.Null(Metadata(answer, "rows-affected"));
        Assert.Equal(
            """[[1,12345678901,1.5,12345678901234567890.10,true,null,"te\"xt",{"a": [1]},"AQI=","""
            + """[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,15],"2026-01-02T00:00:00Z","2026-01-02T03:04:05.6Z",[1,null,3],["a,b","c\"d\\e"],"""
            + """[[true],[false]],"NaN","127.0.0.1","infinity"]]""",
            await answer.Content.ReadAsStringAsync(Cancellation));
    }

    [Fact]
    public async Task A_time_with_zone_is_the_same_moment()
    {
        using var answer = await InvokeAsync("query", "SELECT '2026-01-02 03:04:05+02'::timestamptz");

        var rows = await answer.Content.ReadFromJsonAsync<DateTimeOffset[][]>(Cancellation);
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 1, 4, 5, TimeSpan.Zero), rows![0][0]);
    }

    [Fact]
    public async Task Parameters_are_taken_as_what_the_statement_asks_for()
    {
        using (await InvokeAsync("exec", "CREATE TABLE things (id int, price numeric, name text, more jsonb, tags text[], at timestamptz, gone bool)"))
        {
        }

        using (var inserted = await InvokeAsync(
            "exec", "INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6, $7)", """[1e3, 12.50, "O'Neill; DROP", {"a": 1}, ["x,\"y", null], "2026-01-02T03:04:05Z", null]"""))
            Assert.Equal("1", Metadata(inserted, "rows-affected"));

        using var answer = await InvokeAsync(
            "query", "SELECT id, price, name, more, tags, at = '2026-01-02 03:04:05+00', gone FROM things WHERE id = ANY($1)", "[[7, 1000]]");
        Assert.Equal("""[[1000,12.50,"O'Neill; DROP",{"a": 1},["x,\"y",null],true,null]]""", await answer.Content.ReadAsStringAsync(Cancellation));
    }

    [Theory]
    [InlineData("exec", "", null, "required metadata not set: sql")]
    [InlineData("exec", "SELECT $1", "{}", "invalid metadata property params: failed to unserialize into an array: json: cannot unmarshal object into Go value of type []interface {}")]
    [InlineData("exec", "SELECT", "x", "invalid metadata property params: failed to unserialize into an array")]
    [InlineData("query", "SELECT * FROM nowhere", null, "error executing query: ERROR: relation \\\"nowhere\\\" does not exist (SQLSTATE 42P01)")]
    [InlineData("query", "SELECT 1/(3-n) FROM generate_series(1, 3) n", null, "error executing query: ERROR: division by zero (SQLSTATE 22012)")]
    [InlineData("exec", "SELECT $1::int; SELECT 2", "[1]", "error executing query: ERROR: cannot insert multiple commands into a prepared statement (SQLSTATE 42601)")]
    [InlineData("create", "SELECT", null, "binding db does not support operation create. supported operations:exec query close")]
    public async Task What_cannot_be_done_is_refused_with_the_reason(string operation, string sql, string? parameters, string reason)
    {
        using var answer = await InvokeAsync(operation, sql, parameters);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains(reason, await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_statements_are_executed_where_there_are_no_parameters_and_the_last_one_counts()
    {
        using var answer = await InvokeAsync("exec", "CREATE TABLE things (id int); INSERT INTO things VALUES (1), (2), (3); DELETE FROM things WHERE id > 1");

        Assert.Equal((HttpStatusCode.OK, "2"), (answer.StatusCode, Metadata(answer, "rows-affected")));
        using var left = await InvokeAsync("query", "SELECT id FROM things");
        Assert.Equal("[[1]]", await left.Content.ReadAsStringAsync(Cancellation));
    }

    [Fact]
    public async Task Half_of_a_surrogate_pair_in_a_parameter_is_replaced()
    {
        using var answer = await InvokeAsync("query", "SELECT $1::text, ($2::text[])[1]", """["\ud800", ["\ud800"]]""");

        Assert.Equal("""[["\ufffd","\ufffd"]]""", JsonSerializer.Serialize(await answer.Content.ReadFromJsonAsync<string[][]>(Cancellation)), ignoreCase: true);
    }

    [Fact]
    public async Task The_timeout_does_not_end_a_statement()
    {
        var component = Sidecars.Component(
            "db", "bindings.postgres", ("connectionString", _server.ConnectionString(await _server.NewDatabaseAsync(Cancellation))), ("timeout", "1s"));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("patient", component));
        using var http = Sidecars.Http(dapr["patient"]);

        using var answer = await http.PostAsJsonAsync("/v1.0/bindings/db", new { operation = "exec", metadata = new { sql = "SELECT pg_sleep(3)" } }, Cancellation);

        Assert.Equal((HttpStatusCode.OK, "1"), (answer.StatusCode, Metadata(answer, "rows-affected")));
    }

    [Fact]
    public async Task One_that_an_application_has_closed_is_open_to_the_others()
    {
        var component = Sidecars.Component("db", "bindings.postgres", ("connectionString", _server.ConnectionString(await _server.NewDatabaseAsync(Cancellation))));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("closing", component), Sidecars.App("other", component));
        var query = new { operation = "query", metadata = new { sql = "SELECT 1" } };
        using var closing = Sidecars.Http(dapr["closing"]);
        using var other = Sidecars.Http(dapr["other"]);

        using var closed = await closing.PostAsJsonAsync("/v1.0/bindings/db", new { operation = "close" }, Cancellation);

        using var refused = await closing.PostAsJsonAsync("/v1.0/bindings/db", query, Cancellation);
        using var answered = await other.PostAsJsonAsync("/v1.0/bindings/db", query, Cancellation);
        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.InternalServerError), (closed.StatusCode, refused.StatusCode));
        Assert.Equal("[[1]]", await answered.Content.ReadAsStringAsync(Cancellation));
    }

    [Fact]
    public async Task A_closed_one_stays_closed_and_may_be_closed_again()
    {
        using var channel = Sidecars.Grpc(_dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        var query = new InvokeBindingRequest { Name = "db", Operation = "query", Metadata = { ["sql"] = "SELECT 1" } };
        var close = new InvokeBindingRequest { Name = "db", Operation = "close" };
        var answer = await client.InvokeBindingAsync(query, cancellationToken: Cancellation);
        Assert.Equal(("[[1]]", "SELECT 1"), (answer.Data.ToStringUtf8(), answer.Metadata["sql"]));

        await client.InvokeBindingAsync(close, cancellationToken: Cancellation);
        await client.InvokeBindingAsync(close, cancellationToken: Cancellation);

        var error = await Assert.ThrowsAsync<RpcException>(async () => await client.InvokeBindingAsync(query, cancellationToken: Cancellation));
        Assert.Contains("component is closed", error.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_is_not_there_ends_the_start()
    {
        var component = Sidecars.Component("db", "bindings.postgres", ("connectionString", _server.ConnectionString("nowhere")));

        var e = await Assert.ThrowsAsync<ResourceException>(() => Sidecars.StartAsync(Sidecars.App("one", component)));

        Assert.Contains("component db (bindings.postgres) cannot start", e.Message, StringComparison.Ordinal);
        Assert.Contains("\"nowhere\" does not exist", e.Message, StringComparison.Ordinal);
    }

    private static string? Metadata(HttpResponseMessage answer, string field) =>
        answer.Headers.TryGetValues($"metadata.{field}", out var values) ? values.Single() : null;

    private Task<HttpResponseMessage> InvokeAsync(string operation, string sql, string? parameters = null)
    {
        var metadata = new JsonObject { ["sql"] = sql };
        if (parameters is not null)
            metadata["params"] = parameters;
        return _http.PostAsJsonAsync("/v1.0/bindings/db", new { operation, metadata }, JsonSerializerOptions.Web, Cancellation);
    }
}
