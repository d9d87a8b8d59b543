namespace EmbeddedSidecar;

/// <summary>
/// Something that a sidecar is about to do: with a component, or with its application. Whoever sees these sees everything that a sidecar does
/// (<see cref="EmbeddedDaprOptions.BeforeCall"/>).
/// </summary>
/// <param name="AppId">Whose sidecar it is.</param>
/// <param name="Component">The name of the component; null: the application itself, by HTTP or gRPC.</param>
/// <param name="Operation">
/// Of a state store get, bulk_get, set or transaction; of a pub/sub publish, bulk_publish, deliver or bulk_deliver; of an output binding its own; of an application the HTTP
/// method.
/// </param>
/// <param name="Subjects">The keys as the store knows them, the topic, or the path; of a binding none.</param>
/// <param name="Payloads">Values that are written (empty for what is deleted), messages that are published or delivered, a binding's data; of an application none.</param>
public sealed record SidecarCall(
    string AppId, string? Component, string Operation, IReadOnlyList<string> Subjects, IReadOnlyList<ReadOnlyMemory<byte>> Payloads);

/// <summary>
/// Sees each call before it is made, and may hold it up. What it throws is the failure of the call: as if the store, the broker or the
/// application had failed.
/// </summary>
public delegate ValueTask BeforeSidecarCall(SidecarCall call, CancellationToken cancellationToken);
