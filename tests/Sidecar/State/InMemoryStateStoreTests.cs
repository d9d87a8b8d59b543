using DaprOrders.Sidecar.Components.State;
using DaprOrders.Sidecar.Components.State.InMemory;

namespace DaprOrders.Sidecar.Tests.State;

public sealed class InMemoryStateStoreTests : StateStoreContract
{
    internal override Task<IStateStore> OpenAsync() => OpenAsync(InMemoryStateStore.ComponentType);
}
