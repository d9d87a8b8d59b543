using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Actors;

/// <summary>The actor API over gRPC.</summary>
internal static class ActorsGrpc
{
    public static void BindActors(this DaprGrpcMethods methods)
    {
        methods.Unary<InvokeActorRequest, InvokeActorResponse>("InvokeActor", InvokeAsync);
        methods.Unary<GetActorStateRequest, GetActorStateResponse>("GetActorState", GetStateAsync);
        methods.Unary<ExecuteActorStateTransactionRequest, Empty>("ExecuteActorStateTransaction", WriteStateAsync);
        methods.Unary<RegisterActorTimerRequest, Empty>("RegisterActorTimer", RegisterTimer);
        methods.Unary<UnregisterActorTimerRequest, Empty>("UnregisterActorTimer", UnregisterTimer);
        methods.Unary<RegisterActorReminderRequest, Empty>("RegisterActorReminder", RegisterReminderAsync);
        methods.Unary<UnregisterActorReminderRequest, Empty>("UnregisterActorReminder", UnregisterReminderAsync);
        methods.Unary<GetActorReminderRequest, GetActorReminderResponse>("GetActorReminder", GetReminder);
        methods.Unary<ListActorRemindersRequest, ListActorRemindersResponse>("ListActorReminders", ListReminders);
        methods.Unary<UnregisterActorRemindersByTypeRequest, UnregisterActorRemindersByTypeResponse>(
            "UnregisterActorRemindersByType", UnregisterRemindersByTypeAsync);
    }

    private static async Task<InvokeActorResponse> InvokeAsync(SidecarRuntime runtime, InvokeActorRequest request, ServerCallContext call)
    {
        var headers = new HeaderDictionary();
        foreach (var (name, value) in request.Metadata)
            headers[name] = ForwardedHeaders.Value(value);
        headers["traceparent"] = TraceParent.Of(call.GetHttpContext());
        using var reply = await new ActorApi(runtime).InvokeAsync(
            new(request.ActorType, request.ActorId), request.Method, "", request.Data.Memory, headers, call.CancellationToken);
        return new() { Data = UnsafeByteOperations.UnsafeWrap(reply.Body) };
    }

    private static async Task<GetActorStateResponse> GetStateAsync(SidecarRuntime runtime, GetActorStateRequest request, ServerCallContext call)
    {
        var entry = await new ActorApi(runtime).GetStateAsync(new(request.ActorType, request.ActorId), request.Key, call.CancellationToken);
        var response = new GetActorStateResponse();
        if (entry is null)
            return response;
        response.Data = UnsafeByteOperations.UnsafeWrap(entry.Value);
        if (entry.ExpiresAt is { } expires)
            response.Metadata[StateItems.ExpireTime] = ActorTimes.Format(expires);
        return response;
    }

    private static async Task<Empty> WriteStateAsync(SidecarRuntime runtime, ExecuteActorStateTransactionRequest request, ServerCallContext call)
    {
        var operations = request.Operations.Select(operation => operation.OperationType is "upsert" or "delete"
            // The bytes inside the Any, whatever its type, are stored as they are.
            ? new ActorStateOperation(operation.OperationType, operation.Key, operation.Value?.Value.Memory ?? default, null, operation.Metadata.ToDictionary())
            : throw new ApiException(500, StatusCode.Unimplemented, "ERR_NOT_SUPPORTED_STATE_OPERATION", $"operation type {operation.OperationType} not supported"));
        await new ActorApi(runtime).WriteStateAsync(new(request.ActorType, request.ActorId), [.. operations], call.CancellationToken);
        return new();
    }

    private static Task<Empty> RegisterTimer(SidecarRuntime runtime, RegisterActorTimerRequest request, ServerCallContext call)
    {
        new ActorApi(runtime).RegisterTimer(new(
            new(request.ActorType, request.ActorId), request.Name, request.DueTime, request.Period, request.Ttl, request.Callback, Json(request.Data)));
        return Task.FromResult(new Empty());
    }

    private static Task<Empty> UnregisterTimer(SidecarRuntime runtime, UnregisterActorTimerRequest request, ServerCallContext call)
    {
        new ActorApi(runtime).UnregisterTimer(new(request.ActorType, request.ActorId), request.Name);
        return Task.FromResult(new Empty());
    }

    private static async Task<Empty> RegisterReminderAsync(SidecarRuntime runtime, RegisterActorReminderRequest request, ServerCallContext call)
    {
        await new ActorApi(runtime).RegisterReminderAsync(
            new(new(request.ActorType, request.ActorId), request.Name),
            new(request.DueTime, request.Period, request.Ttl, Json(request.Data), !request.HasOverwrite || request.Overwrite, Retry(request.FailurePolicy)),
            call.CancellationToken);
        return new();
    }

    private static async Task<Empty> UnregisterReminderAsync(SidecarRuntime runtime, UnregisterActorReminderRequest request, ServerCallContext call)
    {
        await new ActorApi(runtime).UnregisterReminderAsync(new(new(request.ActorType, request.ActorId), request.Name), call.CancellationToken);
        return new();
    }

    private static Task<GetActorReminderResponse> GetReminder(SidecarRuntime runtime, GetActorReminderRequest request, ServerCallContext call)
    {
        var reminder = new ActorApi(runtime).GetReminder(new(new(request.ActorType, request.ActorId), request.Name));
        var response = new GetActorReminderResponse { ActorType = reminder.Key.Actor.Type, ActorId = reminder.Key.Actor.Id };
        if (reminder.DueTime.Length > 0)
            response.DueTime = reminder.DueTime;
        if (reminder.Period.Length > 0)
            response.Period = reminder.Period;
        if (ActorApi.TtlToShow(reminder) is { } ttl)
            response.Ttl = ttl;
        if (reminder.Data.Length > 0)
            response.Data = Any.Pack(new BytesValue { Value = ByteString.CopyFrom(reminder.Data) });
        return Task.FromResult(response);
    }

    private static Task<ListActorRemindersResponse> ListReminders(SidecarRuntime runtime, ListActorRemindersRequest request, ServerCallContext call)
    {
        var response = new ListActorRemindersResponse();
        foreach (var reminder in new ActorApi(runtime).ListReminders(request.ActorType, request.HasActorId ? request.ActorId : null))
        {
            var told = new ActorReminder { ActorType = reminder.Key.Actor.Type, ActorId = reminder.Key.Actor.Id };
            if (reminder.DueTime.Length > 0)
                told.DueTime = reminder.DueTime;
            if (reminder.Period.Length > 0)
                told.Period = reminder.Period;
            if (reminder.Data.Length > 0)
                told.Data = Any.Pack(new BytesValue { Value = ByteString.CopyFrom(reminder.Data) });
            response.Reminders.Add(new NamedActorReminder { Name = reminder.Key.Name, Reminder = told });
        }
        return Task.FromResult(response);
    }

    private static async Task<UnregisterActorRemindersByTypeResponse> UnregisterRemindersByTypeAsync(
        SidecarRuntime runtime, UnregisterActorRemindersByTypeRequest request, ServerCallContext call)
    {
        var api = new ActorApi(runtime);
        foreach (var reminder in api.ListReminders(request.ActorType, request.HasActorId ? request.ActorId : null))
            await api.UnregisterReminderAsync(reminder.Key, call.CancellationToken);
        return new();
    }

    /// <summary>Bytes become a JSON string in base64.</summary>
    private static byte[] Json(ByteString data) => data.IsEmpty ? [] : JsonSerializer.SerializeToUtf8Bytes(data.ToBase64());

    private static ReminderRetry Retry(JobFailurePolicy? policy) => policy?.PolicyCase switch
    {
        JobFailurePolicy.PolicyOneofCase.Drop => ReminderRetry.None,
        JobFailurePolicy.PolicyOneofCase.Constant => new(
            policy.Constant.HasMaxRetries ? (int)Math.Min(policy.Constant.MaxRetries, int.MaxValue) : int.MaxValue,
            policy.Constant.Interval?.ToTimeSpan() ?? TimeSpan.Zero),
        _ => ReminderRetry.Default,
    };
}
