using Dapr.Client;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing.State;
using Grpc.Net.Client;
using Moq;

namespace DaprOrders.EventSourcing.Tests.State;

/// <summary>What is asked of the Dapr client for which store, where the stores and the client have traps.</summary>
public sealed class DaprStateApiTests
{
    private const string Store = "statestore";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("state.in-memory", BatchWrites.Atomic)]
    [InlineData("state.sqlite", BatchWrites.Atomic)]
    [InlineData("state.postgresql", BatchWrites.Atomic)]
    [InlineData("state.redis", BatchWrites.Separate)]
    [InlineData("state.mongodb", BatchWrites.Separate)]
    [InlineData("state.aws.dynamodb", BatchWrites.Separate)]
    public async Task Transactions_are_used_where_they_roll_back_whatever_the_store_calls_transactional(string type, BatchWrites expected)
    {
        var api = new DaprStateApi(Client(type, "ETAG", "TRANSACTIONAL").Object, new StateInMemory(), new EventStoreOptions { StateStore = Store });

        Assert.Equal(expected, await api.DescribeAsync(Cancel));
    }

    [Fact]
    public async Task The_configuration_can_switch_transactions_off()
    {
        var options = new EventStoreOptions { StateStore = Store, BatchWrites = BatchWrites.Separate };

        Assert.Equal(BatchWrites.Separate, await new DaprStateApi(Client("state.sqlite", "ETAG").Object, new StateInMemory(), options).DescribeAsync(Cancel));
    }

    /// <summary>Recorded on redis: within a transaction first-write overwrites, and beside a refused operation the others are written.</summary>
    [Theory]
    [InlineData("state.redis")]
    [InlineData("state.aws.dynamodb")]
    [InlineData("state.mongodb")]
    public async Task Transactions_that_are_not_known_to_roll_back_cannot_be_switched_on(string type)
    {
        var options = new EventStoreOptions { StateStore = Store, BatchWrites = BatchWrites.Atomic };
        var api = new DaprStateApi(Client(type, "ETAG", "TRANSACTIONAL").Object, new StateInMemory(), options);

        var refusal = await Assert.ThrowsAsync<UnsuitableStateStoreException>(() => api.DescribeAsync(Cancel));

        Assert.Contains("expected Separate, or no setting", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(type, refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("state.memcached", new string[0], "it has no ETags")]
    [InlineData("state.etcd", new[] { "ETAG", "TRANSACTIONAL" }, "a write that lost its race is answered as written")]
    [InlineData("state.sqlserver", new[] { "ETAG", "TRANSACTIONAL" }, "both are told that they did")]
    [InlineData("state.mysql", new[] { "ETAG", "TRANSACTIONAL" }, "two keys that differ in case are one")]
    public async Task A_store_that_would_lose_events_is_refused_with_the_reason(string type, string[] capabilities, string reason)
    {
        var api = new DaprStateApi(Client(type, capabilities).Object, new StateInMemory(), new EventStoreOptions { StateStore = Store });

        var refusal = await Assert.ThrowsAsync<UnsuitableStateStoreException>(() => api.DescribeAsync(Cancel));

        Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(type, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_component_that_is_not_there_is_refused_and_the_others_are_named()
    {
        var api = new DaprStateApi(Client("state.sqlite", "ETAG").Object, new StateInMemory(), new EventStoreOptions { StateStore = "other" });

        var refusal = await Assert.ThrowsAsync<UnsuitableStateStoreException>(() => api.DescribeAsync(Cancel));

        Assert.Contains("'other'; it has: statestore", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>A key that a transaction of redis has created is overwritten by the next one that creates it.</summary>
    [Fact]
    public async Task Without_rollback_several_writes_are_one_save_of_single_writes()
    {
        var client = Client("state.redis", "ETAG", "TRANSACTIONAL");
        var api = new DaprStateApi(client.Object, new StateInMemory(), new EventStoreOptions { StateStore = Store });
        await api.DescribeAsync(Cancel);

        await api.SaveManyAsync([new StateWrite("new", "1"u8.ToArray(), null), new StateWrite("old", "2"u8.ToArray(), "7")], Cancel);

        client.Verify(dapr => dapr.SaveBulkStateAsync(
            Store,
            It.Is<IReadOnlyList<SaveStateItem<RawJson>>>(items =>
                items.Count == 2
                && items[0].ETag == null && items[0].StateOptions!.Concurrency == ConcurrencyMode.FirstWrite
                && items[1].ETag == "7" && items[1].StateOptions!.Concurrency == ConcurrencyMode.FirstWrite),
            It.IsAny<CancellationToken>()));
        client.Verify(dapr => dapr.GetMetadataAsync(It.IsAny<CancellationToken>()));
        client.VerifyNoOtherCalls();
    }

    /// <summary>The client's own bulk save leaves the token out.</summary>
    [Fact]
    public async Task Every_call_carries_the_token_that_the_sidecar_asks_for()
    {
        var resources = $$"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: {{Store}}}
            spec: {type: state.in-memory, version: v1}
            """;
        var app = new SidecarOptions { AppId = "shop", ApiToken = "secret" };
        await using var sidecar = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [app], Resources = resources }, Cancel);
        using var handler = new ApiTokenHandler("secret");
        using var client = new DaprClientBuilder()
            .UseHttpEndpoint($"http://127.0.0.1:{sidecar["shop"].HttpPort}")
            .UseGrpcEndpoint($"http://127.0.0.1:{sidecar["shop"].GrpcPort}")
            .UseGrpcChannelOptions(new GrpcChannelOptions { HttpHandler = handler })
            .Build();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{sidecar["shop"].GrpcPort}", new GrpcChannelOptions { HttpHandler = new ApiTokenHandler("secret") });
        var api = new DaprStateApi(client, new GrpcBulkStateReads(channel.CreateCallInvoker()), new EventStoreOptions { StateStore = Store, BatchWrites = BatchWrites.Separate });
        await api.DescribeAsync(Cancel);

        await api.SaveManyAsync([new StateWrite("a", "1"u8.ToArray(), null), new StateWrite("b", "2"u8.ToArray(), null)], Cancel);

        Assert.All(await api.GetManyAsync(["a", "b"], Cancel), Assert.NotNull);
    }

    private static Mock<DaprClient> Client(string type, params string[] capabilities)
    {
        var client = new Mock<DaprClient>();
        client.Setup(dapr => dapr.GetMetadataAsync(It.IsAny<CancellationToken>())).ReturnsAsync(new DaprMetadata(
            "shop", [], new Dictionary<string, string>(), [new DaprComponentsMetadata(Store, type, "v1", capabilities)]));
        return client;
    }
}
