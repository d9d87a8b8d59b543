using Dapr.Client.Autogen.Grpc.v1;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// A part of a sidecar that works by itself while the application is healthy: subscriptions, input bindings, hosted actors. Parts start in
/// the order of <see cref="SidecarApis.Parts"/> each time the application becomes healthy, and stop in the reverse order when it no longer is, and at the end.
/// </summary>
internal interface ISidecarPart
{
    /// <summary>Returns once the part is at work. <see cref="SidecarRuntime.AppConfiguration"/> is known by then.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary><see cref="SidecarRuntime.Loaded"/> is another one, and the part at work: it goes over to what changed.</summary>
    Task FollowAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Lets running work end, as far as the token allows. Is also called for a part that never started.</summary>
    Task StopAsync(CancellationToken cancellationToken);

    /// <summary>Adds what the metadata API tells about this part.</summary>
    void Describe(GetMetadataResponse metadata)
    {
    }
}
