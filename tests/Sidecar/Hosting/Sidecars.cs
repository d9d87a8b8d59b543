using EmbeddedSidecar.Resources;
using Grpc.Net.Client;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>Sidecars for tests: on free ports, with components made by code.</summary>
internal static class Sidecars
{
    public static ComponentResource Component(string name, string type, params (string Name, string Value)[] metadata) => new(
        name, type, "v1", [.. metadata.Select(item => new MetadataItem(item.Name, item.Value, null, null, default))], false, null, null, [], default);

    public static SidecarOptions App(string appId, params ComponentResource[] components) =>
        new() { AppId = appId, Resources = new ResourceSet(components, [], [], []) };

    public static Task<EmbeddedDapr> StartAsync(params SidecarOptions[] apps) =>
        EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = apps }, TestContext.Current.CancellationToken);

    public static HttpClient Http(SidecarHost sidecar) => new() { BaseAddress = new Uri($"http://127.0.0.1:{sidecar.HttpPort}") };

    public static GrpcChannel Grpc(SidecarHost sidecar) => GrpcChannel.ForAddress($"http://127.0.0.1:{sidecar.GrpcPort}");
}
