using DaprOrders.Sidecar.Components.State;

namespace DaprOrders.Sidecar.Api.State;

/// <summary>One operation of a transaction, over whichever protocol it came.</summary>
/// <param name="IsJson">The value came as a JSON value (HTTP), not as bytes that nobody looks into (gRPC).</param>
/// <param name="ContentType">Of the value; null where none is named.</param>
/// <param name="Metadata">As it was sent.</param>
internal sealed record StateOperation(StateWrite Write, bool IsJson, string? ContentType, IReadOnlyDictionary<string, string> Metadata)
{
    public static StateOperation Create(StateWrite write, bool isJson, string? contentType, IReadOnlyDictionary<string, string> metadata) =>
        new(write, isJson, contentType ?? metadata.GetValueOrDefault("contentType"), metadata);
}
