using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Components.Bindings.Cron;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Metadata;

/// <summary>What a sidecar tells of itself (pkg/api/universal/metadata.go), its own entries, and its end: GET and PUT /v1.0/metadata, POST /v1.0/shutdown.</summary>
internal static class MetadataApi
{
    private static readonly string[] DefaultFeatures = [ConfigurationResource.HotReload, "WorkflowsRemoteActivityReminder"];

    public static void MapMetadata(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapGet("/v1.0/metadata", context => MetadataJson.WriteAsync(context, Describe(runtime)));
        routes.MapPut("/v1.0/metadata/{key}", async context =>
        {
            var value = await RequestBody.ReadAsync(context);
            runtime.ExtendedMetadata[RequestPath.LastSegment(context)] = Encoding.UTF8.GetString(value.Span);
            ApiErrors.NoContent(context);
        });
        routes.MapPost("/v1.0/shutdown", context =>
        {
            ApiErrors.NoContent(context);
            ShutDownAfter(context, runtime);
            return Task.CompletedTask;
        });
    }

    public static void BindMetadata(this DaprGrpcMethods methods)
    {
        methods.Unary<GetMetadataRequest, GetMetadataResponse>("GetMetadata", (runtime, _, _) => Task.FromResult(Describe(runtime)));
        methods.Unary<SetMetadataRequest, Empty>("SetMetadata", (runtime, request, _) =>
        {
            if (request.Key.Length > 0)
                runtime.ExtendedMetadata[request.Key] = request.Value;
            return Task.FromResult(new Empty());
        });
        methods.Unary<ShutdownRequest, Empty>("Shutdown", (runtime, _, call) =>
        {
            ShutDownAfter(call.GetHttpContext(), runtime);
            return Task.FromResult(new Empty());
        });
    }

    /// <summary>Once the caller has its answer; without waiting for what runs where a header asks for that (pkg/api/universal/shutdown.go).</summary>
    private static void ShutDownAfter(HttpContext call, SidecarRuntime runtime)
    {
        var atOnce = call.Request.Headers["dapr-force-shutdown"].Any(value => "true".Equals(value, StringComparison.OrdinalIgnoreCase));
        call.Response.OnCompleted(() =>
        {
            runtime.RequestShutdown(atOnce);
            return Task.CompletedTask;
        });
    }

    private static GetMetadataResponse Describe(SidecarRuntime runtime)
    {
        var (options, loaded) = (runtime.Options, runtime.Loaded);
        var metadata = new GetMetadataResponse
        {
            Id = options.AppId,
            RuntimeVersion = SidecarRuntime.DaprVersion,
            AppConnectionProperties = new AppConnectionProperties
            {
                ChannelAddress = options.AppChannelAddress,
                Port = options.AppPort,
                Protocol = options.AppProtocol.ToString().ToLowerInvariant(),
                MaxConcurrency = Math.Max(0, options.AppMaxConcurrency),
            },
            ActorRuntime = new ActorRuntime
            {
                RuntimeStatus = ActorRuntime.Types.ActorRuntimeStatus.Disabled,
                Placement = "placement: disconnected",
            },
            Workflows = new MetadataWorkflows(),
        };
        if (options.AppHealthCheck is { } check)
        {
            metadata.AppConnectionProperties.Health = new AppConnectionHealthProperties
            {
                HealthCheckPath = options.AppProtocol is AppProtocol.Grpc or AppProtocol.Grpcs ? "" : check.Path,
                HealthProbeInterval = GoDuration.Format(check.Interval),
                HealthProbeTimeout = GoDuration.Format(check.Timeout),
                HealthThreshold = check.Threshold,
            };
        }

        var features = DefaultFeatures.Except(loaded.Configuration.DisabledFeatures).Union(loaded.Configuration.EnabledFeatures);
        metadata.EnabledFeatures.Add(features.Order(StringComparer.Ordinal));
        metadata.ExtendedMetadata.Add(runtime.ExtendedMetadata.ToDictionary());
        metadata.ExtendedMetadata[SidecarRuntime.RuntimeVersionEntry] = SidecarRuntime.DaprVersion;
        foreach (var component in loaded.Components.OrderBy(component => component.Name, StringComparer.Ordinal))
        {
            metadata.RegisteredComponents.Add(new RegisteredComponents
            {
                Name = component.Name,
                Type = component.Type,
                Version = component.Resource.Version,
                Capabilities = { Capabilities(component) },
            });
        }

        foreach (var endpoint in loaded.Declared.HttpEndpoints)
            metadata.HttpEndpoints.Add(new MetadataHTTPEndpoint { Name = endpoint.Name });
        foreach (var resiliency in loaded.Declared.Resiliencies)
            metadata.Resiliencies.Add(new MetadataResiliency { Name = resiliency.Name });
        foreach (var part in runtime.Parts)
            part.Describe(metadata);
        runtime.Streams.Describe(metadata);
        return metadata;
    }

    private static IEnumerable<string> Capabilities(LoadedComponent component) => component.Instance switch
    {
        // Every store that has both can keep actors.
        IStateStore store when store.Capabilities.Contains("ETAG") && store.Capabilities.Contains("TRANSACTIONAL") => store.Capabilities.Append("ACTOR"),
        IStateStore store => store.Capabilities,
        IPubSub pubSub => pubSub.Capabilities,
        CronSchedule => ["INPUT_BINDING"],
        IOutputBinding => ["OUTPUT_BINDING"],
        _ => [],
    };
}
