using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Api;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>A retry policy on a state store.</summary>
public sealed class StatePolicyTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Only_the_writes_that_failed_are_tried_again()
    {
        var store = new FlakyStore("b", StateFailure.Other, failures: 2);

        await Component(store, retries: 3).SaveAsync([Upsert("a"), Upsert("b"), Upsert("c")], Cancellation);

        Assert.Equal(["a,b,c", "b", "b"], store.Calls);
    }

    [Fact]
    public async Task The_failure_is_told_when_the_retries_are_used_up()
    {
        var store = new FlakyStore("b", StateFailure.Other, failures: 9);

        var e = await Assert.ThrowsAsync<ApiException>(() => Component(store, retries: 1).SaveAsync([Upsert("a"), Upsert("b")], Cancellation));

        Assert.Equal(["a,b", "b"], store.Calls);
        Assert.Equal(StatusCode.Internal, e.GrpcStatus);
    }

    [Fact]
    public async Task A_refused_etag_is_never_tried_again()
    {
        var store = new FlakyStore("b", StateFailure.ETagMismatch, failures: 1);

        var e = await Assert.ThrowsAsync<ApiException>(() => Component(store, retries: 3).SaveAsync([Upsert("a"), Upsert("b")], Cancellation));

        Assert.Equal(["a,b"], store.Calls);
        Assert.Equal(StatusCode.Aborted, e.GrpcStatus);
    }

    [Fact]
    public async Task A_store_that_does_not_answer_in_time_is_given_up_in_daprds_words()
    {
        var store = new FlakyStore("b", StateFailure.Other, failures: 0) { Hangs = true };

        var e = await Assert.ThrowsAsync<ApiException>(() => Component(store, retries: 0, TimeSpan.FromMilliseconds(20)).SaveAsync([Upsert("a")], Cancellation));

        Assert.Equal("failed saving state in state store store: context deadline exceeded", e.Message);
    }

    private static StateUpsert Upsert(string key) => new(key, new byte[] { 1 }, null, false, null);

    private static StateStoreComponent Component(IStateStore store, int retries, TimeSpan? timeout = null)
    {
        var names = new PolicyNames(timeout is null ? null : "t", retries == 0 ? null : "r", null);
        var resource = new ResiliencyResource(
            "policies",
            timeout is { } limit ? new Dictionary<string, TimeSpan> { ["t"] = limit } : [],
            new Dictionary<string, RetryPolicy> { ["r"] = new(RetryPolicyKind.Constant, TimeSpan.Zero, TimeSpan.Zero, retries, [], []) },
            new Dictionary<string, CircuitBreakerPolicy>(),
            new Dictionary<string, PolicyNames>(),
            new Dictionary<string, PolicyNames>(),
            new Dictionary<string, ComponentPolicyNames> { ["store"] = new(null, names) },
            [],
            default);
        var component = Sidecars.Component("store", "state.flaky");
        return new StateStoreComponent(
            new LoadedComponent(component, new ComponentMetadata(component, []), store),
            Sidecars.App("one"),
            new SidecarMetrics("one", probePath: null),
            new ResiliencyPolicies([resource], TimeProvider.System).ForComponentOutbound("store", ComponentKind.Statestore));
    }

    /// <summary>Fails the writes of one key so many times.</summary>
    private sealed class FlakyStore(string key, StateFailure failure, int failures) : IStateStore
    {
        private int _failures = failures;

        public bool Hangs { get; init; }

        public List<string> Calls { get; } = [];

        public IReadOnlyList<string> Capabilities { get; } = ["ETAG"];

        public int ReadTtl(string text) => StateTtl.ReadLoosely(text);

        public Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) => throw new NotSupportedException();

        public async Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
        {
            Calls.Add(string.Join(',', writes.Select(write => write.Key)));
            if (Hangs)
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            return [.. writes.Select(write => write.Key == key && _failures-- > 0 ? new StateStoreException(failure, "refused") : null)];
        }

        public Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
