using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Components.State.InMemory;

namespace DaprOrders.Sidecar.Tests.State;

public sealed class InMemoryStateStoreTests : StateStoreContract
{
    internal override Task<IStateStore> OpenAsync() => OpenAsync(InMemoryStateStore.ComponentType);
}
