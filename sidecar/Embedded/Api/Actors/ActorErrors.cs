using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Actors;

/// <summary>The refusals of the actor API (dapr pkg/messages/predefined.go).</summary>
internal static class ActorErrors
{
    public static ApiException NoPlacement { get; } =
        new(400, StatusCode.Unavailable, "ERR_ACTOR_NO_PLACEMENT", "placement service is not configured");

    public static ApiException NotHosted { get; } =
        new(403, StatusCode.PermissionDenied, "ERR_ACTOR_REMINDER_NON_HOSTED", "operations on actor reminders are only possible on hosted actor types");

    public static ApiException Reserved(string type) => new(
        403,
        StatusCode.PermissionDenied,
        "ERR_ACTOR_TYPE_RESERVED",
        $"actor type \"{type}\" is reserved for the Dapr workflow runtime; direct actor API access is not permitted");

    public static ApiException BadRequest(string reason) =>
        new(400, StatusCode.InvalidArgument, "ERR_BAD_REQUEST", $"invalid request: {reason}") { GrpcMessage = reason };

    public static ApiException Malformed(string reason) =>
        new(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", $"failed deserializing HTTP body: {reason}");

    public static ApiException TimerCreate(string reason) =>
        new(500, StatusCode.Internal, "ERR_ACTOR_TIMER_CREATE", $"error creating actor timer: {reason}");

    public static ApiException ReminderCreate(string reason) =>
        new(500, StatusCode.Internal, "ERR_ACTOR_REMINDER_CREATE", $"error creating actor reminder: {reason}");

    public static ApiException ReminderDelete(string reason) =>
        new(500, StatusCode.Internal, "ERR_ACTOR_REMINDER_DELETE", $"error deleting actor reminder: {reason}");

    public static ApiException ReminderExists(string name) =>
        new(409, StatusCode.AlreadyExists, "ERR_ACTOR_REMINDER_ALREADY_EXISTS", $"actor reminder already exists: {name}");

    public static ApiException ReminderNotFound(string name) =>
        new(404, StatusCode.NotFound, "ERR_ACTOR_REMINDER_NOT_FOUND", $"actor reminder not found: {name}");

    /// <summary>Null for what is no failure of a call.</summary>
    public static ApiException? OfCall(Exception exception) => exception switch
    {
        ActorStackDepthException => new(500, StatusCode.ResourceExhausted, "ERR_ACTOR_STACK_DEPTH", "maximum stack depth exceeded"),
        ActorCallException { Failure: ActorFailure.NoHost } e => Invoke(e.Message, StatusCode.FailedPrecondition, e.Message),
        ActorCallException e => Invoke(e.Message, StatusCode.Internal, e.RemoteMessage is { } remote ? Prefixed(remote) : null),
        CircuitBreakerOpenException e => Invoke(e.Message, StatusCode.Internal, null),
        _ => null,
    };

    private static ApiException Invoke(string reason, StatusCode status, string? grpcMessage) =>
        new(500, status, "ERR_ACTOR_INVOKE_METHOD", Prefixed(reason)) { GrpcMessage = grpcMessage };

    private static string Prefixed(string reason) => $"error invoke actor method: {reason}";
}
