using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Components.State.Sqlite;
using Microsoft.Data.Sqlite;

namespace DaprOrders.Sidecar.Tests.State;

public sealed class SqliteStateStoreTests : StateStoreContract, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("state-");

    /// <summary>components-contrib, state/sqlite: a delete looks at the tag alone, and an expired row is there until it is cleaned.</summary>
    internal override StateFailure? DeleteOfExpired => null;

    private string File => Path.Combine(_folder.FullName, "new", "folder", "state.db");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task What_was_written_is_there_after_a_restart()
    {
        await using (var store = await OpenAsync())
        {
            await store.WriteAsync([Upsert("a", "1"), Upsert("b", "1"), Upsert("gone", "1", ttl: 10)], Cancellation);
            await store.TransactAsync([Upsert("c", "1"), new StateDelete("b", null, false)], Cancellation);
        }

        Time.Advance(TimeSpan.FromMinutes(1));
        await using var reopened = await OpenAsync();

        Assert.Equal(["1", null, "1", null], (await reopened.GetManyAsync(["a", "b", "c", "gone"], Cancellation)).Select(Text));
    }

    [Fact]
    public async Task An_answered_write_is_in_the_file_before_the_store_is_closed()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1")], Cancellation);

        await using var copy = await OpenAsync();

        Assert.Equal("1", Text(await copy.GetAsync("a", Cancellation)));
    }

    [Fact]
    public async Task Writes_of_many_callers_keep_their_own_results_when_they_are_committed_together()
    {
        await using var store = await OpenAsync();

        await AssertOwnResultsOfManyCallersAsync(store);
    }

    [Fact]
    public async Task Expired_rows_are_removed_where_a_cleanup_interval_is_set()
    {
        await using var store = await OpenAsync(SqliteStateStore.ComponentType, ("connectionString", File), ("cleanupInterval", "1m"));
        await store.WriteAsync([Upsert("gone", "1", ttl: 10), Upsert("kept", "1", ttl: 1000), Upsert("always", "1")], Cancellation);

        // The tick starts the cleaning; a write that is queued behind it returns after it.
        await AssertEventually(async () =>
        {
            Time.Advance(TimeSpan.FromMinutes(1));
            await store.WriteAsync([Upsert("behind", "1")], Cancellation);
            return CountRows() == 3;
        });
    }

    [Fact]
    public async Task Two_stores_with_tables_of_their_own_share_a_file()
    {
        await using var one = await OpenAsync(SqliteStateStore.ComponentType, ("url", "file:" + File), ("tableName", "one"));
        await using var two = await OpenAsync(SqliteStateStore.ComponentType, ("connectionString", File), ("tableName", "two"));
        await Task.WhenAll(Enumerable.Range(0, 50).Select(n => n % 2 == 0 ? WriteAsync(one, Upsert($"{n}", "one")) : WriteAsync(two, Upsert($"{n}", "two"))));

        Assert.Equal("one", Text(await one.GetAsync("2", Cancellation)));
        Assert.Null(await two.GetAsync("2", Cancellation));
    }

    [Fact]
    public async Task A_file_locked_by_another_program_is_named_and_the_store_works_again_afterwards()
    {
        await using var store = await OpenAsync(SqliteStateStore.ComponentType, ("connectionString", File), ("busyTimeout", "50ms"));
        using (var other = new SqliteConnection($"Data Source={File};Pooling=False"))
        {
            other.Open();
            using var command = other.CreateCommand();
            command.CommandText = "BEGIN IMMEDIATE";
            command.ExecuteNonQuery();

            var failure = await WriteAsync(store, Upsert("a", "1"));

            Assert.Equal(StateFailure.Other, failure!.Failure);
            Assert.Contains("locked by another program", failure.Message, StringComparison.Ordinal);
            Assert.Contains(File, failure.Message, StringComparison.Ordinal);
        }

        Assert.Null(await WriteAsync(store, Upsert("a", "2")));
    }

    [Fact]
    public async Task A_file_that_is_no_database_is_refused()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        await System.IO.File.WriteAllTextAsync(File, new string('x', 5000), Cancellation);

        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => OpenAsync());

        Assert.Contains("no SQLite database", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT)", "was not made by this sidecar")]
    [InlineData("CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT); INSERT INTO metadata VALUES ('dapr-orders-state:state', '9')", "schema version 9")]
    public async Task A_table_of_another_making_is_refused_and_not_touched(string sql, string expected)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        using (var other = new SqliteConnection($"Data Source={File};Pooling=False"))
        {
            other.Open();
            using var command = other.CreateCommand();
            command.CommandText = sql;
            command.ExecuteNonQuery();
        }

        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => OpenAsync());

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("connectionString", ":memory:", "state.in-memory")]
    [InlineData("connectionString", "state.db?mode=ro", "without options")]
    [InlineData("tableName", "a;b", "letters")]
    [InlineData("busyTimeout", "soon", "a duration")]
    [InlineData("timeout", "10ms", "at least one second")]
    public async Task A_mistake_in_the_metadata_says_what_was_expected(string field, string value, string expected)
    {
        (string, string)[] metadata = field == "connectionString" ? [(field, value)] : [("connectionString", File), (field, value)];

        var e = await Assert.ThrowsAsync<ResourceException>(() => OpenAsync(SqliteStateStore.ComponentType, metadata));

        Assert.Contains(field, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    internal override Task<IStateStore> OpenAsync() => OpenAsync(SqliteStateStore.ComponentType, ("connectionString", File));

    private static async Task AssertEventually(Func<Task<bool>> condition)
    {
        while (!await condition())
            Cancellation.ThrowIfCancellationRequested();
    }

    private long CountRows()
    {
        using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM state";
        return (long)command.ExecuteScalar()!;
    }
}
