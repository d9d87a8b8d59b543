using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Components.State.InMemory;

namespace DaprOrders.Sidecar.Tests.State;

public sealed class InMemoryStateStoreTests : StateStoreContract
{
    /// <summary>components-contrib, state/in-memory/in_memory.go: doValidateEtag does not tell writes from deletes.</summary>
    [Fact]
    public async Task A_delete_with_first_write_and_without_a_tag_takes_away_nothing_that_is_there()
    {
        await using var store = await OpenAsync();
        await store.WriteAsync([Upsert("a", "1")], TestContext.Current.CancellationToken);

        var alone = await WriteAsync(store, new StateDelete("a", null, FirstWrite: true));
        var transaction = await Assert.ThrowsAsync<StateStoreException>(
            () => store.TransactAsync([new StateDelete("a", null, FirstWrite: true)], TestContext.Current.CancellationToken));

        Assert.Equal(StateFailure.ETagMismatch, alone!.Failure);
        Assert.Equal("possible etag mismatch. error from state store: item already exists and no etag was passed", alone.Message);
        Assert.Equal(alone.Message, transaction.Message);
        Assert.Equal("1", Text(await store.GetAsync("a", TestContext.Current.CancellationToken)));
        Assert.Null(await WriteAsync(store, new StateDelete("absent", null, FirstWrite: true)));
    }

    internal override Task<IStateStore> OpenAsync() => OpenAsync(InMemoryStateStore.ComponentType);
}
