using DaprOrders.Sidecar.Actors;
using DaprOrders.Sidecar.Components;
using DaprOrders.Sidecar.Jobs;

namespace DaprOrders.Sidecar.Hosting;

/// <summary>What all sidecars of the process share.</summary>
/// <param name="JobsFile"><see cref="EmbeddedDaprOptions.JobsFile"/>.</param>
public sealed record SharedParts(ComponentCatalog Components, AppDirectory Apps, ILoggerFactory LoggerFactory, TimeProvider Time, string? JobsFile = null)
{
    internal ActorPlacement Placement { get; } = new(Time, LoggerFactory.CreateLogger<ActorPlacement>());

    internal JobScheduler Jobs { get; } = new(JobsFile, Time, LoggerFactory.CreateLogger<JobScheduler>());
}
