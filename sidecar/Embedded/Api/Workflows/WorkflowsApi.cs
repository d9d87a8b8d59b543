using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Api.Actors;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Workflows;

/// <summary>
/// Workflows, which this sidecar does not run: it answers as a daprd to which no worker is connected, where there are no instances, and what is to
/// change one looks for its actor for five seconds. A start, which daprd then leaves without any answer, is refused.
/// </summary>
internal static class WorkflowsApi
{
    private static readonly string[] HttpVersions = ["v1.0", "v1.0-beta1", "v1.0-alpha1"];
    private static readonly string[] GrpcVersions = ["Alpha1", "Beta1"];

    public static void MapWorkflows(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        Map("GET", "", (name, _) => Task.FromResult(NotFound(name)));
        Map("POST", "/start", (name, _) => Task.FromResult(NotStarted(name)));
        Map("POST", "/purge", (name, _) => Task.FromResult(NotPurged(name)));
        Map("POST", "/terminate", (name, context) => NotTerminatedAsync(runtime, name, context.RequestAborted));
        Map("POST", "/pause", (name, context) => NotPausedAsync(runtime, name, context.RequestAborted));
        Map("POST", "/resume", (name, context) => NotResumedAsync(runtime, name, context.RequestAborted));
        Map("POST", "/raiseEvent/{event}", (name, context) => NotRaisedAsync(runtime, name, (string)context.GetRouteValue("event")!, context.RequestAborted));

        void Map(string verb, string action, Func<string, HttpContext, Task<ApiException>> refusal)
        {
            foreach (var version in HttpVersions)
            {
                routes.MapMethods($"/{version}/workflows/{{component}}/{{name}}{action}", [verb], async context =>
                {
                    Check(runtime, $"{verb} {context.Request.Path}");
                    throw await refusal((string)context.GetRouteValue("name")!, context);
                });
            }
        }
    }

    public static void BindWorkflows(this DaprGrpcMethods methods)
    {
        foreach (var version in GrpcVersions)
        {
            methods.Unary<GetWorkflowRequest, GetWorkflowResponse>($"GetWorkflow{version}", (runtime, request, call) =>
            {
                Check(runtime, call.Method);
                return Task.FromResult(new GetWorkflowResponse { InstanceId = request.InstanceId });
            });
            Refuse<StartWorkflowRequest, StartWorkflowResponse>("Start", version, (_, request, _) => Task.FromResult(NotStarted(request.WorkflowName)));
            Refuse<PurgeWorkflowRequest, Empty>("Purge", version, (_, request, _) => Task.FromResult(NotPurged(request.InstanceId)));
            Refuse<TerminateWorkflowRequest, Empty>("Terminate", version, (runtime, request, cancel) => NotTerminatedAsync(runtime, request.InstanceId, cancel));
            Refuse<PauseWorkflowRequest, Empty>("Pause", version, (runtime, request, cancel) => NotPausedAsync(runtime, request.InstanceId, cancel));
            Refuse<ResumeWorkflowRequest, Empty>("Resume", version, (runtime, request, cancel) => NotResumedAsync(runtime, request.InstanceId, cancel));
            Refuse<RaiseEventWorkflowRequest, Empty>(
                "RaiseEvent", version, (runtime, request, cancel) => NotRaisedAsync(runtime, request.InstanceId, request.EventName, cancel));
        }

        void Refuse<TRequest, TResponse>(string verb, string version, Func<SidecarRuntime, TRequest, CancellationToken, Task<ApiException>> refusal)
            where TRequest : class, IMessage<TRequest>, new()
            where TResponse : class, IMessage<TResponse>, new() =>
            methods.Unary<TRequest, TResponse>($"{verb}Workflow{version}", async (runtime, request, call) =>
            {
                Check(runtime, call.Method);
                throw await refusal(runtime, request, call.CancellationToken);
            });
    }

    private static void Check(SidecarRuntime runtime, string method)
    {
        runtime.TellMissing(method, "workflows");
        if (!runtime.Options.PlacementEnabled)
            throw ActorErrors.NoPlacement;
    }

    private static ApiException NotFound(string instance) =>
        new(404, StatusCode.NotFound, "ERR_INSTANCE_ID_NOT_FOUND", $"unable to find workflow with the provided instance ID: {instance}");

    /// <summary>With what Go's fmt writes of an argument too many.</summary>
    private static ApiException NotPurged(string instance) => NotFound(
        $"{instance}%!(EXTRA *fmt.wrapError=failed to purge workflow state: failed to fetch workflow state: no such instance exists)");

    private static ApiException NotStarted(string workflow) => new(
        500, StatusCode.Internal, "ERR_START_WORKFLOW", $"error starting workflow '{workflow}': the embedded sidecar does not run workflows; run the application with Dapr");

    private static Task<ApiException> NotTerminatedAsync(SidecarRuntime runtime, string id, CancellationToken cancellationToken) => NotReachedAsync(
        runtime, id, "ERR_TERMINATE_WORKFLOW", $"error terminating workflow '{id}': failed to terminate workflow {id}: failed to submit termination request:", cancellationToken);

    private static Task<ApiException> NotPausedAsync(SidecarRuntime runtime, string id, CancellationToken cancellationToken) => NotReachedAsync(
        runtime, id, "ERR_PAUSE_WORKFLOW", $"error pausing workflow {id}: failed to pause workflow {id}: failed to suspend workflow", cancellationToken);

    private static Task<ApiException> NotResumedAsync(SidecarRuntime runtime, string id, CancellationToken cancellationToken) => NotReachedAsync(
        runtime, id, "ERR_RESUME_WORKFLOW", $"error resuming workflow {id}: failed to resume workflow {id}: failed to resume workflow", cancellationToken);

    private static Task<ApiException> NotRaisedAsync(SidecarRuntime runtime, string id, string name, CancellationToken cancellationToken) => NotReachedAsync(
        runtime, id, "ERR_RAISE_EVENT_WORKFLOW", $"error raising event on workflow '{id}': failed to raise event {name} on workflow {id}: failed to raise event", cancellationToken);

    private static async Task<ApiException> NotReachedAsync(SidecarRuntime runtime, string id, string code, string problem, CancellationToken cancellationToken)
    {
        var workflow = new ActorKey($"dapr.internal.{runtime.Options.Namespace}.{runtime.Options.AppId}.workflow", id);
        try
        {
            using var reply = await runtime.Shared.Placement.InvokeAsync(new() { Actor = workflow, Method = "AddWorkflowEvent" }, cancellationToken);
            throw new NotSupportedException($"{workflow} is an actor of workflows, which nobody hosts here.");
        }
        catch (ActorCallException e)
        {
            return new(500, StatusCode.Internal, code, $"{problem}: {e.Message}");
        }
    }
}
