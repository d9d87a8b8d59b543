using System.Collections.Concurrent;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Grpc.Core;
using StackExchange.Redis;

namespace DaprOrders.Sidecar.Tests.Locks;

/// <summary>lock.redis where the recordings are silent.</summary>
public sealed class RedisLockTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncLifetime
{
    private RedisServer _redis = null!;
    private int _database;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RedisServer.Missing);
        _redis = await servers.RedisAsync();
        _database = _redis.NewDatabase();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Of_many_one_gets_the_lock_and_it_passes_on_when_it_has_expired_without_the_late_owner_being_able_to_give_it_back()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Store()));
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        var owners = Enumerable.Range(0, 50).Select(i => $"owner{i}").ToList();
        var tried = await Task.WhenAll(owners.Select(async owner => (owner, await TryAsync(client, owner, seconds: 600))));
        var first = Assert.Single(tried, one => one.Item2).owner;
        await using var connection = await ConnectionMultiplexer.ConnectAsync(_redis.Address);
        Assert.True(await connection.GetDatabase(_database).KeyExpireAsync("lock||one||r", TimeSpan.FromMilliseconds(1)));
        await BrokerTests.UntilAsync(() => TryAsync(client, "next", seconds: 600), TimeSpan.FromMinutes(2));

        Assert.Equal(UnlockResponse.Types.Status.LockBelongsToOthers, await UnlockAsync(client, first));
        Assert.Equal(UnlockResponse.Types.Status.Success, await UnlockAsync(client, "next"));
        Assert.Equal(UnlockResponse.Types.Status.LockDoesNotExist, await UnlockAsync(client, "next"));
    }

    [Fact]
    public async Task A_key_prefix_that_no_key_could_have_is_told_at_the_start()
    {
        var error = await Assert.ThrowsAsync<ResourceException>(() => Sidecars.StartAsync(Sidecars.App("one", Store(("keyPrefix", "a||b")))));

        Assert.Contains("keyPrefix 'a||b' may not contain '||'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_asked_of_it_is_shown_before_and_what_is_thrown_there_is_its_failure()
    {
        var shown = new ConcurrentQueue<string>();
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [Sidecars.App("one", Store())],
                BeforeCall = (call, _) =>
                {
                    shown.Enqueue($"{call.Component} {call.Operation} {string.Join(',', call.Subjects)}");
                    return call.Operation == "unlock" ? throw new IOException("out of order") : default;
                },
            },
            Cancellation);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        Assert.True(await TryAsync(client, "owner", seconds: 60));
        var failure = await Assert.ThrowsAsync<RpcException>(() => UnlockAsync(client, "owner"));

        Assert.Equal("failed to release lock: out of order", failure.Status.Detail);
        Assert.Equal(["lock try_lock lock||one||r", "lock unlock lock||one||r"], shown);
    }

    private static async Task<bool> TryAsync(Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient client, string owner, int seconds) =>
        (await client.TryLockAlpha1Async(
            new() { StoreName = "lock", ResourceId = "r", LockOwner = owner, ExpiryInSeconds = seconds }, cancellationToken: Cancellation)).Success;

    private static async Task<UnlockResponse.Types.Status> UnlockAsync(Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient client, string owner) =>
        (await client.UnlockAlpha1Async(new() { StoreName = "lock", ResourceId = "r", LockOwner = owner }, cancellationToken: Cancellation)).Status;

    private ComponentResource Store(params (string Name, string Value)[] more) =>
        Sidecars.Component("lock", "lock.redis", [("redisHost", _redis.Address), ("redisDB", $"{_database}"), .. more]);
}
