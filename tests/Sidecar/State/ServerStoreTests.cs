using System.Net;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Resources;
using Npgsql;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>state.redis and state.postgresql beyond what is recorded: how they are pointed at their servers, and what they refuse.</summary>
public sealed class ServerStoreTests(StoreServers servers) : IClassFixture<StoreServers>
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("host={0} port={1} user=postgres dbname={2} sslmode=disable")]
    [InlineData("host = '{0}' port={1}  user='post\\gres' dbname = {2} application_name='it\\'s us' pool_max_conns=3")]
    [InlineData("postgres://postgres@{0}:{1}/{2}?sslmode=disable&application_name=us%20too")]
    [InlineData("postgresql://post%67res@{0}:{1}/{2}")]
    public async Task PostgreSQL_is_found_by_the_connection_strings_that_Go_takes(string form)
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        var text = string.Format(null, form, PostgresServer.Host, postgres.Port, await postgres.NewDatabaseAsync(Cancel));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Postgres(("connectionString", text))));

        Assert.Equal("1", await SaveAndReadAsync(dapr));
    }

    [Fact]
    public async Task The_fields_of_a_PostgreSQL_component_win_over_its_connection_string()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Postgres(
            ("connectionString", "host=nowhere.invalid sslmode=disable"), ("host", PostgresServer.Host), ("port", $"{postgres.Port}"), ("user", "postgres"),
            ("database", await postgres.NewDatabaseAsync(Cancel)), ("tablePrefix", "orders_"))));

        Assert.Equal("1", await SaveAndReadAsync(dapr));
    }

    [Fact]
    public async Task A_table_of_version_1_is_not_touched()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        var database = await postgres.NewDatabaseAsync(Cancel);
        await using (var connection = new NpgsqlConnection($"Host={PostgresServer.Host};Port={postgres.Port};Username=postgres;Database={database};Pooling=false"))
        {
            await connection.OpenAsync(Cancel);
            await using var command = new NpgsqlCommand(
                "CREATE TABLE state (key text PRIMARY KEY, value jsonb, isbinary boolean, etag int, expires_at timestamptz)", connection);
            await command.ExecuteNonQueryAsync(Cancel);
        }

        var refusal = await RefusalOf(Postgres(("connectionString", postgres.ConnectionString(database))));

        Assert.Contains("table 'state' is not one of state.postgresql v2 (its value is jsonb", refusal);
        Assert.Contains("tablePrefix", refusal);
    }

    [Fact]
    public async Task The_two_versions_do_not_share_a_table()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        var connection = ("connectionString", postgres.ConnectionString(await postgres.NewDatabaseAsync(Cancel)));
        await using (await Sidecars.StartAsync(Sidecars.App("one", PostgresV1(connection))))
            Assert.Contains("table 'state' is not one of state.postgresql v2 (its value is jsonb, not bytea, it has no etag", await RefusalOf(Postgres(connection)));

        await using (await Sidecars.StartAsync(Sidecars.App("one", Postgres(connection, ("tablePrefix", "new_")))))
            Assert.Contains("table 'new_state' is not one of state.postgresql v1 (its value is bytea", await RefusalOf(PostgresV1(connection, ("tableName", "new_state"))));
    }

    /// <summary>components-contrib, state/postgresql/v1/migrations.go: daprd goes on from the number that it finds.</summary>
    [Fact]
    public async Task A_table_of_version_1_is_made_as_daprd_has_it_after_its_migrations_and_is_found_again()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        var database = await postgres.NewDatabaseAsync(Cancel);
        await using var source = NpgsqlDataSource.Create($"Host={PostgresServer.Host};Port={postgres.Port};Username=postgres;Database={database}");
        await using (var schema = source.CreateCommand("CREATE SCHEMA shop"))
            await schema.ExecuteNonQueryAsync(Cancel);
        var component = PostgresV1(
            ("connectionString", postgres.ConnectionString(database)), ("tableName", "shop.Values_1"), ("metadataTableName", "shop.counted"));
        await using (var dapr = await Sidecars.StartAsync(Sidecars.App("one", component)))
            Assert.Equal("1", await SaveAndReadAsync(dapr));
        await using (var again = await Sidecars.StartAsync(Sidecars.App("one", component)))
            Assert.Equal("1", await SaveAndReadAsync(again));

        Assert.Equal(
            ["key text", "value jsonb", "isbinary boolean", "insertdate timestamp with time zone", "updatedate timestamp with time zone",
                "expiredate timestamp with time zone", "row_id bigint"],
            await RowsAsync(source, "SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_name = 'values_1' ORDER BY ordinal_position"));
        Assert.Equal(["migrations 3"], await RowsAsync(source, "SELECT key || ' ' || value FROM shop.counted"));
        Assert.Equal(["one||a 1 f true"], await RowsAsync(
            source, "SELECT key || ' ' || value || ' ' || CASE WHEN isbinary THEN 't' ELSE 'f' END || ' ' || (updatedate IS NOT NULL) FROM shop.values_1"));
    }

    [Fact]
    public async Task Version_1_keeps_JSON_as_PostgreSQL_writes_it_if_it_can_and_bytes_as_they_are()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", PostgresV1(
            ("connectionString", postgres.ConnectionString(await postgres.NewDatabaseAsync(Cancel))))));
        using var http = Sidecars.Http(dapr["one"]);
        using var channel = Sidecars.Grpc(dapr["one"]);
        const string Text = """{"bb":[1,"<é"],"a":1.50}""";
        var grpc = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        var bytes = new StateItem { Key = "bytes", Value = Google.Protobuf.ByteString.CopyFromUtf8(Text) };
        var told = new StateItem { Key = "told", Value = bytes.Value, Metadata = { ["contentType"] = "application/json" } };

        await http.PostAsync("/v1.0/state/store", new StringContent($$"""[{"key":"json","value":{{Text}}}]"""), Cancel);
        await grpc.SaveStateAsync(new SaveStateRequest { StoreName = "store", States = { bytes, told } }, cancellationToken: Cancel);

        Assert.Equal(Text, await http.GetStringAsync("/v1.0/state/store/bytes", Cancel));
        Assert.Equal("""{"a": 1.5, "bb": [1, "<é"]}""", await http.GetStringAsync("/v1.0/state/store/json", Cancel));
        Assert.Equal("""{"a": 1.5, "bb": [1, "<é"]}""", await http.GetStringAsync("/v1.0/state/store/told", Cancel));

        var refused = await http.PostAsync("/v1.0/state/store", new StringContent("""[{"key":"nul","value":"\u0000"},{"key":"good","value":1}]"""), Cancel);
        Assert.Equal(HttpStatusCode.InternalServerError, refused.StatusCode);
        Assert.Equal("1", await http.GetStringAsync("/v1.0/state/store/good", Cancel));
    }

    [Fact]
    public async Task Version_1_answers_a_tag_that_is_no_number_with_400_and_a_refused_creation_with_500()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", PostgresV1(
            ("connectionString", postgres.ConnectionString(await postgres.NewDatabaseAsync(Cancel))))));
        using var http = Sidecars.Http(dapr["one"]);
        await SaveAndReadAsync(dapr);

        var strange = await http.PostAsync("/v1.0/state/store", new StringContent("""[{"key":"a","value":2,"etag":"x"}]"""), Cancel);
        var stale = await http.PostAsync("/v1.0/state/store", new StringContent("""[{"key":"a","value":2,"etag":"1"}]"""), Cancel);
        var again = await http.PostAsync("/v1.0/state/store", new StringContent("""[{"key":"a","value":2,"options":{"concurrency":"first-write"}}]"""), Cancel);

        Assert.Equal(
            [HttpStatusCode.BadRequest, HttpStatusCode.Conflict, HttpStatusCode.InternalServerError], [strange.StatusCode, stale.StatusCode, again.StatusCode]);
        Assert.Contains("no item was updated", await again.Content.ReadAsStringAsync(Cancel));
        Assert.Contains(
            """
            "capabilities":["ETAG","TRANSACTIONAL","TTL","KEYS_LIKE","QUERY_API","ACTOR"]
            """, await http.GetStringAsync("/v1.0/metadata", Cancel));
    }

    [Theory]
    [InlineData("tableName", "public.")]
    [InlineData("tableName", "x; DROP TABLE y")]
    [InlineData("metadataTableName", "a.b.c")]
    public async Task A_table_name_of_version_1_that_cannot_be_one_stops_the_start(string field, string value) => Assert.Contains(
        $"metadata field '{field}' must be of letters, digits", await RefusalOf(PostgresV1(("connectionString", "host=127.0.0.1"), (field, value))));

    /// <summary>They are fields of the other version, and daprd passes over them.</summary>
    [Theory]
    [InlineData("v1", "tablePrefix")]
    [InlineData("v2", "tableName")]
    public void A_field_of_the_other_version_of_PostgreSQL_is_warned_of(string version, string field)
    {
        var warning = Assert.Single(ComponentTypes.Check(Postgres(("connectionString", "host=db"), ("metadataTableName", "m"), (field, "x")) with { Version = version }));

        Assert.True(warning.IsWarning);
        Assert.Contains($"state.postgresql has no metadata field '{field}'", warning.ToString());
    }

    [Theory]
    [InlineData("connectionString", "Host=db;Username=me", "without 'Host'")]
    [InlineData("connectionString", "host=db hast=x", "without 'hast'")]
    [InlineData("connectionString", "host=db user='me", "closing quote")]
    [InlineData("connectionString", "host=db sslmode=perhaps", "'perhaps'")]
    [InlineData("tablePrefix", "x; DROP TABLE y", "letters, digits")]
    [InlineData("useAWSIAM", "true", "false")]
    [InlineData("queryExecMode", "fast", "simple_protocol")]
    public async Task A_PostgreSQL_component_that_cannot_be_meant_stops_the_start(string field, string value, string expected)
    {
        (string, string)[] metadata = field == "connectionString" ? [(field, value)] : [("connectionString", "host=127.0.0.1"), (field, value)];

        var refusal = await RefusalOf(Postgres(metadata));

        Assert.Contains($"metadata field '{field}' must be", refusal);
        Assert.Contains(expected, refusal);
    }

    [Theory]
    [InlineData("failover", "true")]
    [InlineData("sentinelMasterName", "main")]
    [InlineData("redisType", "cluster")]
    [InlineData("redisHost", "one:6379,two:6379")]
    [InlineData("redisPort", "6380")]
    [InlineData("useEntraID", "true")]
    [InlineData("queryIndexes", "[]")]
    public async Task A_Redis_component_that_needs_what_is_not_supported_stops_the_start(string field, string value)
    {
        var fields = new Dictionary<string, string> { ["redisHost"] = "127.0.0.1:6379" };
        fields[field] = value;

        var refusal = await RefusalOf(Redis([.. fields.Select(f => (f.Key, f.Value))]));

        Assert.Contains($"metadata field '{field}' must be", refusal);
    }

    [Fact]
    public async Task A_Redis_that_is_not_there_stops_the_start_and_is_named()
    {
        var address = $"127.0.0.1:{FreePort.Next()}";

        var refusal = await RefusalOf(Redis(("redisHost", address), ("dialTimeout", "500ms")));

        Assert.Contains(address, refusal);
    }

    [Fact]
    public async Task A_value_without_a_time_to_live_gets_that_of_its_Redis_component()
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        var database = redis.NewDatabase();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Redis(
            ("redisHost", redis.Address), ("redisDB", $"{database}"), ("ttlInSeconds", "100"))));

        await SaveAndReadAsync(dapr);

        await using var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(redis.Address);
        var left = await connection.GetDatabase(database).KeyTimeToLiveAsync("one||a");
        Assert.InRange(left!.Value.TotalSeconds, 1, 100);
    }

    /// <summary>components-contrib, state/redis/redis.go: Multi runs the script without the argument that marks first-write.</summary>
    [Theory]
    [InlineData("transaction", true)]
    [InlineData("single save", false)]
    public async Task On_Redis_the_next_creation_overwrites_a_key_that_was_created_in_a_transaction(string how, bool isOverwritten)
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Redis(("redisHost", redis.Address), ("redisDB", $"{redis.NewDatabase()}"))));
        using var http = Sidecars.Http(dapr["one"]);
        const string Created = """{"key":"a","value":1,"options":{"concurrency":"first-write"}}""";
        var (path, body) = how == "transaction"
            ? ("/v1.0/state/store/transaction", $$"""{"operations":[{"operation":"upsert","request":{{Created}}}]}""")
            : ("/v1.0/state/store", $"[{Created}]");
        Assert.Equal(HttpStatusCode.NoContent, (await http.PostAsync(path, new StringContent(body), Cancel)).StatusCode);

        var again = await http.PostAsync("/v1.0/state/store", new StringContent("""[{"key":"a","value":2,"options":{"concurrency":"first-write"}}]"""), Cancel);

        Assert.Equal(isOverwritten ? HttpStatusCode.NoContent : HttpStatusCode.InternalServerError, again.StatusCode);
        Assert.Equal(isOverwritten ? "2" : "1", await http.GetStringAsync("/v1.0/state/store/a", Cancel));
    }

    /// <summary>components-contrib, state/redis/redis.go: parseETag.</summary>
    [Theory]
    [InlineData("999")]
    [InlineData("no-number")]
    public async Task On_Redis_the_last_write_wins_whatever_tag_it_names(string tag)
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Redis(("redisHost", redis.Address), ("redisDB", $"{redis.NewDatabase()}"))));
        using var http = Sidecars.Http(dapr["one"]);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var grpc = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        await SaveAndReadAsync(dapr);

        Assert.Equal("204 ", await PostAsync(http, "", $$"""[{"key":"a","value":2,"etag":"{{tag}}","options":{"concurrency":"last-write"} }]"""));
        Assert.Equal("2", await http.GetStringAsync("/v1.0/state/store/a", Cancel));
        Assert.Equal("204 ", await PostAsync(
            http, "/transaction", $$"""{"operations":[{"operation":"upsert","request":{"key":"a","value":3,"etag":"{{tag}}","options":{"concurrency":"last-write"} } }]}"""));
        Assert.Equal("3", await http.GetStringAsync("/v1.0/state/store/a", Cancel));
        var item = new StateItem
        {
            Key = "a",
            Value = Google.Protobuf.ByteString.CopyFromUtf8("4"),
            Etag = new Etag { Value = tag },
            Options = new StateOptions { Concurrency = StateOptions.Types.StateConcurrency.ConcurrencyLastWrite },
        };
        await grpc.SaveStateAsync(new SaveStateRequest { StoreName = "store", States = { item } }, cancellationToken: Cancel);
        Assert.Equal("4", await http.GetStringAsync("/v1.0/state/store/a", Cancel));
    }

    /// <summary>components-contrib, state/redis/redis.go: Multi asks for no options.</summary>
    [Fact]
    public async Task On_Redis_a_transaction_does_not_look_at_words_that_no_option_has()
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Redis(("redisHost", redis.Address), ("redisDB", $"{redis.NewDatabase()}"))));
        using var http = Sidecars.Http(dapr["one"]);
        const string Item = """{"key":"a","value":1,"options":{"concurrency":"sometimes","consistency":"perhaps"}}""";

        var alone = await PostAsync(http, "", $"[{Item}]");
        var transaction = await PostAsync(
            http, "/transaction", $$"""{"operations":[{"operation":"upsert","request":{{Item}} },{"operation":"delete","request":{"key":"b","options":{"concurrency":"sometimes"} } }]}""");

        Assert.Contains("unrecognized consistency model 'perhaps'", alone);
        Assert.Equal("204 ", transaction);
        Assert.Equal("1", await http.GetStringAsync("/v1.0/state/store/a", Cancel));
    }

    /// <summary>components-contrib, state/redis/redis.go: getDefault falls back on directGet.</summary>
    [Fact]
    public async Task On_Redis_a_key_that_somebody_else_has_set_is_read_as_a_value_without_a_tag()
    {
        ServerProgram.Require(RedisServer.Missing);
        var redis = await servers.RedisAsync();
        var database = redis.NewDatabase();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App(
            "one", Redis(("redisHost", redis.Address), ("redisDB", $"{database}"), ("keyPrefix", "none"))));
        using var http = Sidecars.Http(dapr["one"]);
        await using (var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(redis.Address))
        {
            await connection.GetDatabase(database).StringSetAsync("plain", "\"é\"");
            await connection.GetDatabase(database).ListLeftPushAsync("list", "x");
        }

        using var plain = await http.GetAsync("/v1.0/state/store/plain", Cancel);
        var list = await http.GetAsync("/v1.0/state/store/list", Cancel);

        Assert.Equal((HttpStatusCode.OK, "\"é\"", null), (plain.StatusCode, await plain.Content.ReadAsStringAsync(Cancel), plain.Headers.ETag));
        Assert.Equal("""200 [{"key":"plain","data":"é"}]""", await PostAsync(http, "/bulk", """{"keys":["plain"]}"""));
        Assert.Equal(HttpStatusCode.InternalServerError, list.StatusCode);
    }

    [Fact]
    public async Task On_PostgreSQL_a_key_that_is_named_twice_is_answered_once()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Postgres(("connectionString", postgres.ConnectionString(await postgres.NewDatabaseAsync(Cancel))))));
        using var http = Sidecars.Http(dapr["one"]);
        await SaveAndReadAsync(dapr);

        var answer = await PostAsync(http, "/bulk", """{"keys":["a","absent","a"]}""");

        Assert.EndsWith(""",{"key":"absent"},{"key":""}]""", answer);
    }

    private static async Task<string> PostAsync(HttpClient http, string path, string body)
    {
        using var answer = await http.PostAsync($"/v1.0/state/store{path}", new StringContent(body), Cancel);
        return $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(Cancel)}";
    }

    private static async Task<string> SaveAndReadAsync(EmbeddedDapr dapr)
    {
        using var http = Sidecars.Http(dapr["one"]);
        var saved = await http.PostAsync("/v1.0/state/store", new StringContent("""[{"key":"a","value":1}]"""), Cancel);
        Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync(Cancel));
        return await http.GetStringAsync("/v1.0/state/store/a", Cancel);
    }

    private static async Task<string> RefusalOf(ComponentResource component) =>
        (await Assert.ThrowsAsync<ResourceException>(() => Sidecars.StartAsync(Sidecars.App("one", component)))).Message;

    private static ComponentResource Postgres(params (string, string)[] metadata) => Sidecars.Component("store", "state.postgresql", metadata) with { Version = "v2" };

    private static ComponentResource PostgresV1(params (string, string)[] metadata) => Postgres(metadata) with { Version = "v1" };

    private static async Task<List<string>> RowsAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await using var rows = await command.ExecuteReaderAsync(Cancel);
        var found = new List<string>();
        while (await rows.ReadAsync(Cancel))
            found.Add(rows.GetString(0));
        return found;
    }

    private static ComponentResource Redis(params (string, string)[] metadata) => Sidecars.Component("store", "state.redis", metadata);
}
