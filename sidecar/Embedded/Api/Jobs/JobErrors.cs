using EmbeddedSidecar.Jobs;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Jobs;

/// <summary>The refusals of the jobs API (dapr pkg/api/errors/scheduler.go, go-etcd-cron).</summary>
internal static class JobErrors
{
    private const string ScheduleJob = "DAPR_SCHEDULER_SCHEDULE_JOB";

    public static ApiException Empty(JobOwner owner, string what, string code) => New(400, StatusCode.InvalidArgument, code, $"{what} is empty", owner);

    public static ApiException NameInBody(JobOwner owner)
    {
        const string Code = "DAPR_SCHEDULER_JOB_NAME";
        return new(400, StatusCode.InvalidArgument, Code, "Set the job name in the url only")
        {
            Details = [ApiException.Info(Code, ("appID", owner.AppId))],
        };
    }

    public static ApiException Exists(JobOwner owner, string reason) => New(
        409, StatusCode.AlreadyExists, ScheduleJob, $"failed to schedule job due to: rpc error: code = AlreadyExists desc = {reason}", owner);

    public static ApiException Schedule(JobOwner owner, string reason) => Failed(owner, ScheduleJob, $"failed to schedule job due to: {reason}");

    public static ApiException Get(JobOwner owner, string reason) => Failed(owner, "DAPR_SCHEDULER_GET_JOB", $"failed to get job due to: {reason}");

    public static ApiException List(JobOwner owner, string reason) => Failed(owner, "DAPR_SCHEDULER_LIST_JOBS", $"failed to list jobs due to: {reason}");

    public static ApiException Delete(JobOwner owner, string reason) => Failed(owner, "DAPR_SCHEDULER_DELETE_JOB", $"failed to delete job due to: {reason}");

    private static ApiException Failed(JobOwner owner, string code, string message) => New(500, StatusCode.Internal, code, message, owner);

    private static ApiException New(int http, StatusCode grpc, string code, string message, JobOwner owner) => new(http, grpc, code, message)
    {
        Details = [ApiException.Info(code, ("appID", owner.AppId), ("namespace", owner.Namespace))],
    };
}
