using EmbeddedSidecar.Components.State;

namespace EmbeddedSidecar.Api.State;

/// <summary>One operation of a transaction, over whichever protocol it came.</summary>
/// <param name="OwnContentType">What the operation names beside its metadata, which only HTTP has a place for.</param>
/// <param name="Metadata">As it was sent.</param>
internal sealed record StateOperation(StateWrite Write, string? OwnContentType, IReadOnlyDictionary<string, string> Metadata)
{
    /// <summary>Of the value; null where none is named.</summary>
    public string? ContentType => OwnContentType ?? Metadata.GetValueOrDefault("contentType");
}
