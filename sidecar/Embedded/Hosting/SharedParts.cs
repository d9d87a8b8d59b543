using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Components;

namespace EmbeddedSidecar.Hosting;

/// <summary>What all sidecars of the process share.</summary>
internal sealed record SharedParts(ComponentCatalog Components, AppDirectory Apps, ILoggerFactory LoggerFactory, TimeProvider Time)
{
    /// <summary>Null where nobody watches.</summary>
    public BeforeSidecarCall? BeforeCall { get; init; }

    internal ActorPlacement Placement { get; } = new(Time, LoggerFactory.CreateLogger<ActorPlacement>());
}
