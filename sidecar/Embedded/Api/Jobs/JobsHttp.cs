using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Jobs;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Jobs;

/// <summary>The jobs API over HTTP (dapr pkg/api/http/jobs.go).</summary>
internal static class JobsHttp
{
    private const string NameParameter = "name";

    private static readonly TypeRegistry Types = TypeRegistry.FromFiles(
        WrappersReflection.Descriptor, StructReflection.Descriptor, TimestampReflection.Descriptor, DurationReflection.Descriptor, EmptyReflection.Descriptor);

    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithTypeRegistry(Types));
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    public static void MapJobs(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        var api = JobsApi.Of(runtime);
        foreach (var version in new[] { "v1.0", "v1.0-alpha1" })
        {
            var pattern = $"/{version}/jobs/{{{NameParameter}}}";
            routes.MapPost(pattern, context => ScheduleAsync(context, JobsApi.Owner(runtime.Options), api));
            routes.MapGet(pattern, context => GetAsync(context, api));
            routes.MapDelete(pattern, context =>
            {
                api.Delete(Name(context));
                ApiErrors.NoContent(context);
                return Task.CompletedTask;
            });
        }
    }

    private static async Task ScheduleAsync(HttpContext context, JobOwner owner, JobsApi api)
    {
        var body = await RequestBody.ReadAsync(context);
        var job = new Job();
        var overwrite = false;
        try
        {
            if (!body.IsEmpty)
                overwrite = Read(body, job);
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            throw new ApiException(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", $"failed deserializing HTTP body: {e.Message}");
        }

        if (job.Name.Length > 0)
            throw JobErrors.NameInBody(owner);
        job.Name = Name(context).Trim();
        api.Schedule(job, overwrite);
        ApiErrors.NoContent(context);
    }

    private static Task GetAsync(HttpContext context, JobsApi api)
    {
        var job = api.Get(Name(context));
        byte[] json;
        try
        {
            json = Encoding.UTF8.GetBytes(Formatter.Format(job));
        }
        catch (InvalidOperationException)
        {
            var reason = job.Data.TypeUrl.Length == 0 ? "type_url is not set" : $"unable to resolve \"{job.Data.TypeUrl}\": not found";
            throw new ApiException(500, StatusCode.Internal, "ERR_INTERNAL", $"failed to encode response as JSON: proto: google.protobuf.Any: {reason}");
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        return context.Response.Body.WriteAsync(json, 0, json.Length, context.RequestAborted);
    }

    /// <summary>The message JobHTTPRequest of daprd's internals, whose data is any JSON. Gives back what it says of overwriting.</summary>
    /// <exception cref="JsonException">With protojson's text.</exception>
    /// <exception cref="IOException">Data, or a failure policy, that makes no sense (of Protobuf's parser).</exception>
    private static bool Read(ReadOnlyMemory<byte> body, Job job)
    {
        using var json = ProtoJson.Parse(body);
        var root = json.RootElement;
        if (TryText("name", "name") is { } name)
            job.Name = name;
        if (TryText("schedule", "schedule") is { } schedule)
            job.Schedule = schedule;
        if (TryText("dueTime", "due_time") is { } dueTime)
            job.DueTime = dueTime;
        if (TryText("ttl", "ttl") is { } ttl)
            job.Ttl = ttl;
        if (ProtoJson.TryFind(root, "repeats", "repeats", out var repeats))
            job.Repeats = ProtoJson.Number(body, repeats, "repeats");
        if (GoJson.TryFind(root, "data", out var data))
            job.Data = Any.Pack(Parser.Parse<Value>(Raw(data)));
        if (ProtoJson.TryFind(root, "failurePolicy", "failure_policy", out var policy))
            job.FailurePolicy = Parser.Parse<JobFailurePolicy>(Raw(policy));
        return ProtoJson.TryFind(root, "overwrite", "overwrite", out var overwrite) && ProtoJson.Flag(body, overwrite, "overwrite");

        string? TryText(string field, string protoName) =>
            ProtoJson.TryFind(root, field, protoName, out var value) ? ProtoJson.Text(body, value, field) : null;

        static string Raw(JsonElement value) => Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8Value(value));
    }

    private static string Name(HttpContext context) => (string)context.GetRouteValue(NameParameter)!;
}
