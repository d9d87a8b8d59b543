using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Jobs;

namespace EmbeddedSidecar.Hosting;

/// <summary>What all sidecars of the process share.</summary>
/// <param name="JobsFile"><see cref="EmbeddedDaprOptions.JobsFile"/>.</param>
internal sealed record SharedParts(ComponentCatalog Components, AppDirectory Apps, ILoggerFactory LoggerFactory, TimeProvider Time, string? JobsFile = null)
{
    /// <summary>Null where nobody watches.</summary>
    public BeforeSidecarCall? BeforeCall { get; init; }

    internal ActorPlacement Placement { get; } = new(Time, LoggerFactory.CreateLogger<ActorPlacement>());

    internal JobScheduler Jobs { get; } = new(JobsFile, Time, LoggerFactory.CreateLogger<JobScheduler>());
}
