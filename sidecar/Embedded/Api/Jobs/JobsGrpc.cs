using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;

namespace EmbeddedSidecar.Api.Jobs;

/// <summary>The jobs API over gRPC, under the names of today and those of its alpha.</summary>
internal static class JobsGrpc
{
    public static void BindJobs(this DaprGrpcMethods methods)
    {
        foreach (var alpha in new[] { "", "Alpha1" })
        {
            Add<ScheduleJobRequest, ScheduleJobResponse>("ScheduleJob" + alpha, (api, request) =>
            {
                api.Schedule(request.Job, request.Overwrite);
                return new();
            });
            Add<GetJobRequest, GetJobResponse>("GetJob" + alpha, (api, request) => new() { Job = api.Get(request.Name) });
            Add<DeleteJobRequest, DeleteJobResponse>("DeleteJob" + alpha, (api, request) =>
            {
                api.Delete(request.Name);
                return new();
            });
        }

        Add<DeleteJobsByPrefixRequest, DeleteJobsByPrefixResponse>("DeleteJobsByPrefix", (api, request) =>
        {
            api.DeleteByPrefix(request.NamePrefix);
            return new();
        });
        Add<DeleteJobsByPrefixRequestAlpha1, DeleteJobsByPrefixResponseAlpha1>("DeleteJobsByPrefixAlpha1", (api, request) =>
        {
            api.DeleteByPrefix(request.NamePrefix);
            return new();
        });
        Add<ListJobsRequest, ListJobsResponse>("ListJobs", (api, _) => new() { Jobs = { api.List() } });
        Add<ListJobsRequestAlpha1, ListJobsResponseAlpha1>("ListJobsAlpha1", (api, _) => new() { Jobs = { api.List() } });

        void Add<TRequest, TResponse>(string name, Func<JobsApi, TRequest, TResponse> answer)
            where TRequest : class, IMessage<TRequest>, new()
            where TResponse : class, IMessage<TResponse>, new() =>
            methods.Unary<TRequest, TResponse>(name, (runtime, request, _) => Task.FromResult(answer(JobsApi.Of(runtime), request)));
    }
}
