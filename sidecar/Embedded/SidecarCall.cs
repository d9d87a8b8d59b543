namespace EmbeddedSidecar;

/// <summary>
/// Something that a sidecar is about to do: with a component, with its application, or with an HTTPEndpoint. Whoever sees these sees everything
/// that a sidecar does there (<see cref="EmbeddedDaprOptions.BeforeCall"/>) but for its start: components open their connections, and read the
/// secrets that their files refer to, unseen.
/// </summary>
/// <param name="AppId">Whose sidecar it is.</param>
/// <param name="Component">The name of the component or HTTPEndpoint, or the address in its place; null: the application itself, by HTTP or gRPC.</param>
/// <param name="Operation">
/// Of a state store get, bulk_get, set or transaction; of a pub/sub publish, bulk_publish, deliver or bulk_deliver; of an output binding its own; of a secret store get or bulk_get; of a
/// configuration store get or subscribe; of a lock store try_lock or unlock; of an application or an HTTPEndpoint the HTTP method.
/// </param>
/// <param name="Subjects">The keys as the store knows them, the topic, or the path; of a binding none, and none for all that a store has.</param>
/// <param name="Payloads">Values that are written (empty for what is deleted), messages that are published or delivered, a binding's data; of an application none.</param>
public sealed record SidecarCall(
    string AppId, string? Component, string Operation, IReadOnlyList<string> Subjects, IReadOnlyList<ReadOnlyMemory<byte>> Payloads);

/// <summary>
/// Sees each call before it is made, and may hold it up. What it throws is the failure of the call: as if the store, the broker or the
/// application had failed.
/// </summary>
public delegate ValueTask BeforeSidecarCall(SidecarCall call, CancellationToken cancellationToken);
