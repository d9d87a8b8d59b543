using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Components.State.PostgreSql;
using Npgsql;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>Both versions, on a real server. Its time is its own, so what expires does so after a second.</summary>
public abstract class PostgresStateStoreTests(StoreServers servers) : StateStoreContract, IClassFixture<StoreServers>
{
    internal override StateFailure RefusedCreation => StateFailure.Other;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private protected abstract ComponentType Type { get; }

    [Fact]
    public override async Task A_value_is_gone_when_its_time_is_over()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1", ttl: 1), Upsert("b", "1", ttl: 1000)], Cancellation);
        var lasting = (await store.GetAsync("b", Cancellation))!;
        Assert.InRange(lasting.ExpiresAt!.Value, DateTimeOffset.UtcNow.AddSeconds(500), DateTimeOffset.UtcNow.AddSeconds(1500));

        await BrokerTests.UntilAsync(async () => await store.GetAsync("a", Cancellation) is null, TimeSpan.FromMinutes(2));

        // In version 1 it is the tag of both, which were written together.
        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("a", "2", lasting.ETag)))!.Failure);
        Assert.Null(await WriteAsync(store, Create("a", "3")));
        Assert.Equal("3", Text(await store.GetAsync("a", Cancellation)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(-1)]
    public override async Task A_later_write_takes_the_expiry_off(int? ttl)
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1", ttl: 10)], Cancellation);
        await store.WriteAsync([Upsert("a", "2", ttl: ttl)], Cancellation);

        Assert.Null((await store.GetAsync("a", Cancellation))!.ExpiresAt);
    }

    [Fact]
    public async Task Writes_of_many_callers_keep_their_own_results_when_they_are_committed_together()
    {
        await using var store = await OpenAsync();

        await AssertOwnResultsOfManyCallersAsync(store);
    }

    /// <summary>A key with a NUL, which the server does not take, undoes none of those with which it went out.</summary>
    [Fact]
    public async Task A_write_that_the_server_refuses_takes_no_other_along()
    {
        await using var store = await OpenAsync();

        var results = await Task.WhenAll(Enumerable.Range(0, 100).Select(number => WriteAsync(store, Upsert(number % 10 == 0 ? $"no\0{number}" : $"key-{number}", "1"))));

        Assert.All(results.Index(), result => Assert.Equal(result.Index % 10 == 0, result.Item is not null));
    }

    [Fact]
    public async Task Writes_that_wait_for_a_lock_hold_up_no_others()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        var database = await postgres.NewDatabaseAsync(Cancellation);
        await using var store = await OpenAsync(Type, ("connectionString", postgres.ConnectionString(database)), ("maxConns", "20"));
        string[] held = ["held-1", "held-2", "held-3"];
        await store.WriteAsync([.. held.Select(key => Upsert(key, "0"))], Cancellation);
        await using var other = new NpgsqlConnection($"Host={PostgresServer.Host};Port={postgres.Port};Username=postgres;Database={database};Pooling=false");
        await other.OpenAsync(Cancellation);
        await using var holding = await other.BeginTransactionAsync(Cancellation);
        await using var hold = new NpgsqlCommand("SELECT 1 FROM state WHERE key LIKE 'held%' FOR UPDATE", other, holding);
        await hold.ExecuteNonQueryAsync(Cancellation);

        var waiting = held.Select(key => WriteAsync(store, Upsert(key, "1"))).ToArray();
        var others = Enumerable.Range(0, 100).Select(number => WriteAsync(store, Upsert($"key-{number}", "1")));
        Assert.All(await Task.WhenAll(others), Assert.Null);

        Assert.All(waiting, write => Assert.False(write.IsCompleted));
        await holding.CommitAsync(Cancellation);
        Assert.All(await Task.WhenAll(waiting), Assert.Null);
        Assert.Equal("1", Text(await store.GetAsync(held[0], Cancellation)));
    }

    internal override async Task<IStateStore> OpenAsync()
    {
        ServerProgram.Require(PostgresServer.Missing);
        var postgres = await servers.PostgresAsync();
        return await OpenAsync(Type, ("connectionString", postgres.ConnectionString(await postgres.NewDatabaseAsync(Cancellation))));
    }
}

public sealed class PostgresVersion1Tests(StoreServers servers) : PostgresStateStoreTests(servers)
{
    internal override StateFailure StrangeTag => StateFailure.ETagInvalid;

    private protected override ComponentType Type => PostgresStateStore.Version1;

    [Theory]
    [InlineData("-1", "invalid syntax")]
    [InlineData("+1", "invalid syntax")]
    [InlineData(" 1", "invalid syntax")]
    [InlineData("4294967296", "value out of range")]
    public async Task A_tag_is_a_number_of_32_bits_on_a_write_and_on_a_delete(string tag, string reason)
    {
        await using var store = await OpenAsync();

        foreach (var write in (StateWrite[])[Upsert("a", "1", tag), new StateDelete("a", tag, false)])
        {
            var refusal = (await WriteAsync(store, write))!;
            Assert.Equal(StateFailure.ETagInvalid, refusal.Failure);
            Assert.Equal($"invalid etag value: strconv.ParseUint: parsing \"{tag}\": {reason}", refusal.Message);
        }

        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("a", "1", "4294967295")))!.Failure);
    }

    /// <summary>The tag is that of the transaction, so it says nothing of which row; each transaction has its own.</summary>
    [Fact]
    public async Task What_one_transaction_wrote_has_one_tag_and_the_next_write_of_each_another()
    {
        await using var store = await OpenAsync();
        await store.TransactAsync([Upsert("a", "1"), Upsert("b", "1")], Cancellation);
        var (a, b) = (await TagAsync("a"), await TagAsync("b"));
        Assert.Equal(a, b);

        Assert.Null(await WriteAsync(store, Upsert("a", "2", a)));
        await store.TransactAsync([Upsert("b", "2", b), Upsert("c", "2")], Cancellation);

        Assert.Distinct([a, await TagAsync("a"), await TagAsync("b")]);
        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("b", "3", a)))!.Failure);

        async Task<string> TagAsync(string key) => (await store.GetAsync(key, Cancellation))!.ETag;
    }

    [Fact]
    public async Task A_deleted_key_that_is_created_again_has_another_tag()
    {
        await using var store = await OpenAsync();
        await WriteAsync(store, Create("a", "1"));
        var tag = (await store.GetAsync("a", Cancellation))!.ETag;
        await WriteAsync(store, new StateDelete("a", tag, false));
        await WriteAsync(store, Create("a", "1"));

        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("a", "2", tag)))!.Failure);
    }
}

public sealed class PostgresVersion2Tests(StoreServers servers) : PostgresStateStoreTests(servers)
{
    private protected override ComponentType Type => PostgresStateStore.Version2;

    /// <summary>To Go's driver it is NULL.</summary>
    [Fact]
    public override async Task An_empty_value_is_a_value()
    {
        await using var store = await OpenAsync();

        Assert.Equal([null, StateFailure.Other], (await store.WriteAsync([Upsert("a", "1"), Upsert("empty", "")], Cancellation)).Select(result => result?.Failure));

        Assert.Equal("1", Text(await store.GetAsync("a", Cancellation)));
    }
}
