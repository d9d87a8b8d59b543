using DaprOrders.Sidecar.Actors;
using DaprOrders.Sidecar.Components;

namespace DaprOrders.Sidecar.Hosting;

/// <summary>What all sidecars of the process share.</summary>
public sealed record SharedParts(ComponentCatalog Components, AppDirectory Apps, ILoggerFactory LoggerFactory, TimeProvider Time)
{
    internal ActorPlacement Placement { get; } = new(Time, LoggerFactory.CreateLogger<ActorPlacement>());
}
