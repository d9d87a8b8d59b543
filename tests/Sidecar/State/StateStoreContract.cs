using System.Text;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.State;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>What every state store must do; each store runs all of it.</summary>
public abstract class StateStoreContract
{
    internal FakeTimeProvider Time { get; } = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    /// <summary>How it says that a key is there already.</summary>
    internal virtual StateFailure RefusedCreation => StateFailure.ETagMismatch;

    /// <summary>How it says that a tag is none of its own.</summary>
    internal virtual StateFailure StrangeTag => StateFailure.ETagMismatch;

    /// <summary>How it answers the delete of a key that has expired, by its last tag.</summary>
    internal virtual StateFailure? DeleteOfExpired => StateFailure.ETagMismatch;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_written_is_read_byte_for_byte()
    {
        await using var store = await OpenAsync();
        byte[] bytes = [0, 1, 2, 255];

        Assert.Null(await WriteAsync(store, Upsert("a", bytes)));

        Assert.Equal(bytes, (await store.GetAsync("a", Cancellation))!.Value);
        Assert.Null(await store.GetAsync("missing", Cancellation));
    }

    [Fact]
    public virtual async Task An_empty_value_is_a_value()
    {
        await using var store = await OpenAsync();

        Assert.Equal([null, null], await store.WriteAsync([Upsert("a", [1]), Upsert("empty", [])], Cancellation));

        Assert.Equal(0, (await store.GetAsync("empty", Cancellation))!.Value.Length);
    }

    [Fact]
    public async Task Many_keys_are_answered_at_their_positions()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1"), Upsert("b", "2")], Cancellation);

        var entries = await store.GetManyAsync(["b", "missing", "a", "b"], Cancellation);

        Assert.Equal(["2", null, "1", "2"], entries.Select(Text));
    }

    [Fact]
    public async Task Every_write_gives_a_new_etag_and_only_the_current_one_is_accepted()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1")], Cancellation);
        var first = (await store.GetAsync("a", Cancellation))!.ETag;

        Assert.Null(await WriteAsync(store, Upsert("a", "2", first)));

        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("a", "3", first)))!.Failure);
        Assert.Equal(StrangeTag, (await WriteAsync(store, Upsert("a", "3", "not-a-tag")))!.Failure);
        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("absent", "3", first)))!.Failure);
        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, new StateDelete("a", first, false)))!.Failure);
        Assert.Equal("2", Text(await store.GetAsync("a", Cancellation)));
        Assert.Null(await WriteAsync(store, Upsert("a", "4", "")));
        Assert.Null(await WriteAsync(store, new StateDelete("a", (await store.GetAsync("a", Cancellation))!.ETag, false)));
        Assert.Null(await store.GetAsync("a", Cancellation));
    }

    [Fact]
    public async Task A_delete_of_a_missing_key_fails_only_when_it_names_an_etag()
    {
        await using var store = await OpenAsync();

        Assert.Null(await WriteAsync(store, new StateDelete("a", null, false)));
        Assert.Equal(StrangeTag, (await WriteAsync(store, new StateDelete("a", "x", false)))!.Failure);
    }

    [Fact]
    public async Task First_write_creates_but_never_overwrites()
    {
        await using var store = await OpenAsync();

        Assert.Null(await WriteAsync(store, Create("a", "1")));
        Assert.Equal(RefusedCreation, (await WriteAsync(store, Create("a", "2")))!.Failure);

        Assert.Equal("1", Text(await store.GetAsync("a", Cancellation)));
    }

    [Fact]
    public async Task One_conflict_never_fails_its_neighbours()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("taken", "0")], Cancellation);

        var results = await store.WriteAsync([Upsert("a", "1"), Create("taken", "1"), Upsert("b", "1", "stale"), Create("c", "1")], Cancellation);

        Assert.Equal([null, RefusedCreation, StrangeTag, null], results.Select(result => result?.Failure));
        Assert.Equal(["1", "0", null, "1"], (await store.GetManyAsync(["a", "taken", "b", "c"], Cancellation)).Select(Text));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_transaction_with_a_conflict_changes_nothing_wherever_the_conflict_is(int position)
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("taken", "0"), Upsert("deleted", "0")], Cancellation);
        List<StateWrite> writes = [Upsert("a", "1"), new StateDelete("deleted", null, false)];
        writes.Insert(position, Create("taken", "1"));

        var e = await Assert.ThrowsAsync<StateStoreException>(() => store.TransactAsync(writes, Cancellation));

        Assert.Equal(RefusedCreation, e.Failure);
        Assert.Equal([null, "0", "0"], (await store.GetManyAsync(["a", "taken", "deleted"], Cancellation)).Select(Text));
    }

    [Fact]
    public async Task A_transaction_applies_its_writes_in_order()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("b", "0")], Cancellation);

        await store.TransactAsync([Upsert("a", "1"), Upsert("a", "2"), new StateDelete("b", null, false), Create("c", "3")], Cancellation);

        Assert.Equal(["2", null, "3"], (await store.GetManyAsync(["a", "b", "c"], Cancellation)).Select(Text));
    }

    [Fact]
    public virtual async Task A_value_is_gone_when_its_time_is_over()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1", ttl: 10)], Cancellation);
        var entry = await store.GetAsync("a", Cancellation);
        Assert.Equal(Time.GetUtcNow().AddSeconds(10), entry!.ExpiresAt);

        Time.Advance(TimeSpan.FromSeconds(10));

        Assert.Null(await store.GetAsync("a", Cancellation));
        Assert.Equal(StateFailure.ETagMismatch, (await WriteAsync(store, Upsert("a", "2", entry.ETag)))!.Failure);
        Assert.Equal(DeleteOfExpired, (await WriteAsync(store, new StateDelete("a", entry.ETag, false)))?.Failure);
        Assert.Null(await WriteAsync(store, Create("a", "3")));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(-1)]
    public virtual async Task A_later_write_takes_the_expiry_off(int? ttl)
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1", ttl: 10)], Cancellation);
        await store.WriteAsync([Upsert("a", "2", ttl: ttl)], Cancellation);

        Time.Advance(TimeSpan.FromDays(1));

        Assert.Equal("2", Text(await store.GetAsync("a", Cancellation)));
    }

    [Fact]
    public async Task Of_many_concurrent_first_writes_of_a_key_exactly_one_wins()
    {
        await using var store = await OpenAsync();
        for (var round = 0; round < 25; round++)
        {
            var key = $"key-{round}";
            var attempts = await Task.WhenAll(Enumerable.Range(0, 16).Select(number => Task.Run(async () =>
            {
                var write = Create(key, number.ToString(System.Globalization.CultureInfo.InvariantCulture));
                if (number % 2 == 0)
                    return await WriteAsync(store, write) is null ? number : -1;
                try
                {
                    await store.TransactAsync([write, Upsert($"{key}-{number}", "done")], Cancellation);
                    return number;
                }
                catch (StateStoreException e) when (e.Failure == RefusedCreation)
                {
                    return -1;
                }
            })));

            var winner = Assert.Single(attempts, number => number >= 0);
            Assert.Equal($"{winner}", Text(await store.GetAsync(key, Cancellation)));
        }
    }

    [Fact]
    public async Task Concurrent_increments_guarded_by_etags_are_never_lost()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("n", "0")], Cancellation);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var done = 0; done < 25;)
            {
                var entry = (await store.GetAsync("n", Cancellation))!;
                var next = int.Parse(Text(entry)!, System.Globalization.CultureInfo.InvariantCulture) + 1;
                if (await WriteAsync(store, Upsert("n", $"{next}", entry.ETag)) is null)
                    done++;
            }
        })));

        Assert.Equal("200", Text(await store.GetAsync("n", Cancellation)));
    }

    internal static StateUpsert Upsert(string key, string value, string? etag = null, int? ttl = null) =>
        new(key, Encoding.UTF8.GetBytes(value), etag, false, ttl);

    internal static StateUpsert Create(string key, string value) => new(key, Encoding.UTF8.GetBytes(value), null, true, null);

    internal static async Task<StateStoreException?> WriteAsync(IStateStore store, StateWrite write) =>
        Assert.Single(await store.WriteAsync([write], TestContext.Current.CancellationToken));

    internal static string? Text(StateEntry? entry) => entry is null ? null : Encoding.UTF8.GetString(entry.Value.Span);

    internal Task<IStateStore> OpenAsync(ComponentType type, params (string Name, string Value)[] metadata)
    {
        var resource = Sidecars.Component("store", type.Name, metadata);
        return CreateAsync();

        async Task<IStateStore> CreateAsync() => (IStateStore)await type.Create(
            new ComponentMetadata(resource, resource.Metadata.Select(item => new MetadataValue(item.Name, item.Value!, default))),
            new ComponentContext("store", Time, NullLoggerFactory.Instance),
            Cancellation);
    }

    internal abstract Task<IStateStore> OpenAsync();

    internal static async Task AssertOwnResultsOfManyCallersAsync(IStateStore store)
    {
        await store.WriteAsync([Upsert("taken", "0")], Cancellation);

        var results = await Task.WhenAll(Enumerable.Range(0, 300).Select(number => (number % 3) switch
        {
            0 => WriteAsync(store, Create("taken", "1")),
            1 => WriteAsync(store, Create($"key-{number}", "1")),
            _ => TransactAsync(store, [Upsert($"key-{number}", "1"), Create("taken", "1")]),
        }));

        Assert.All(results.Index(), result => Assert.Equal(result.Index % 3 != 1, result.Item is not null));
        var kept = await store.GetManyAsync([.. Enumerable.Range(0, 300).Select(number => $"key-{number}")], Cancellation);
        Assert.All(kept.Index(), entry => Assert.Equal(entry.Index % 3 == 1, entry.Item is not null));
    }

    private static async Task<StateStoreException?> TransactAsync(IStateStore store, IReadOnlyList<StateWrite> writes)
    {
        try
        {
            await store.TransactAsync(writes, Cancellation);
            return null;
        }
        catch (StateStoreException e)
        {
            return e;
        }
    }

    private static StateUpsert Upsert(string key, byte[] value) => new(key, value, null, false, null);
}
