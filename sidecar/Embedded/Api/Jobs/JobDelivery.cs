using System.Diagnostics;
using System.Net;
using System.Text;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Jobs;

/// <summary>
/// Takes the jobs that are due to the application: POST /job/{name}, or OnJobEvent over gRPC. Done is what it answers with 2xx, and what it does not
/// know (404), which no other attempt would change (dapr pkg/runtime/scheduler, pkg/channel).
/// </summary>
internal sealed class JobDelivery(SidecarRuntime runtime) : ISidecarPart
{
    /// <summary>So that thousands that are due at once do not open a connection each.</summary>
    private const int MostCallsAtOnce = 128;

    /// <summary>Of messages inside messages: each level of JSON takes four.</summary>
    private const int DeepestData = 1000;

    private readonly SemaphoreSlim _places = new(MostCallsAtOnce);
    private readonly List<Task> _calls = [];
    private CancellationTokenSource _stopping = new();

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (runtime.App is null || !runtime.Options.PlacementEnabled)
            return Task.CompletedTask;
        _stopping = new();
        runtime.Shared.Jobs.Join(JobsApi.Owner(runtime.Options), CallAsync);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        runtime.Shared.Jobs.Leave(CallAsync);
        Task[] calls;
        lock (_calls)
            calls = [.. _calls];
        await runtime.Time.LetEndAsync(calls, cancellationToken);
        await _stopping.CancelAsync();
    }

    private Task<bool> CallAsync(Job job)
    {
        var call = DeliverAsync(job, _stopping.Token);
        lock (_calls)
        {
            _calls.RemoveAll(earlier => earlier.IsCompleted);
            _calls.Add(call);
        }

        return call;
    }

    private async Task<bool> DeliverAsync(Job job, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        try
        {
            return runtime.App!.Grpc is { } grpc ? await InvokeAsync(grpc, job, cancellationToken) : await PostAsync(job, cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return Failed(job, e.Message);
        }
        catch (RpcException)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        finally
        {
            _places.Release();
        }
    }

    private async Task<bool> PostAsync(Job job, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/job/" + Uri.EscapeDataString(job.Name), UriKind.Relative))
        {
            Content = new ByteArrayContent(Body(job.Data)) { Headers = { ContentType = new("application/json") } },
        };
        var begun = Stopwatch.GetTimestamp();
        using var answer = await runtime.App!.SendAsync(request, cancellationToken);
        runtime.Metrics.JobTriggered(answer.IsSuccessStatusCode, Stopwatch.GetElapsedTime(begun));
        if (answer.StatusCode == HttpStatusCode.NotFound)
            return Unknown(job);
        return answer.IsSuccessStatusCode || Failed(job, $"the application answered {(int)answer.StatusCode}");
    }

    private async Task<bool> InvokeAsync(CallInvoker app, Job job, CancellationToken cancellationToken)
    {
        var request = new JobEventRequest
        {
            Name = job.Name,
            Data = job.Data,
            Method = "job/" + job.Name,
            ContentType = job.Data?.TypeUrl ?? "",
            HttpExtension = new() { Verb = HTTPExtension.Types.Verb.Post },
        };
        var begun = Stopwatch.GetTimestamp();
        try
        {
            try
            {
                await SendAsync(AppCallbacks.OnJobEvent);
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.Unimplemented)
            {
                await SendAsync(AppCallbacks.OnJobEventAlpha1);
            }

            runtime.Metrics.JobTriggered(success: true, Stopwatch.GetElapsedTime(begun));
            return true;
        }
        catch (RpcException e) when (e.Status.DebugException is null)
        {
            runtime.Metrics.JobTriggered(success: false, Stopwatch.GetElapsedTime(begun));
            if (e.StatusCode == StatusCode.NotFound)
                return Unknown(job);
            throw;
        }

        Task SendAsync(Method<JobEventRequest, JobEventResponse> method) =>
            app.AsyncUnaryCall(method, null, new(cancellationToken: cancellationToken), request).ResponseAsync;
    }

    /// <summary>JSON for what came as JSON; of anything else its bytes, whatever their type says.</summary>
    private static byte[] Body(Any? data)
    {
        if (data is null || data.Value.IsEmpty)
            return [];
        if (!data.Is(Value.Descriptor))
            return data.Value.Span.Trim(" \t\n\v\f\r"u8).ToArray();
        using var bytes = new MemoryStream(data.Value.ToByteArray());
        var value = new Value();
        value.MergeFrom(CodedInputStream.CreateWithLimits(bytes, int.MaxValue, DeepestData));
        return Encoding.UTF8.GetBytes(JsonFormatter.Default.Format(value));
    }

    private bool Unknown(Job job)
    {
        runtime.Logger.LogWarning("{AppId} does not know the job {Job}, which is not tried again", runtime.Options.AppId, job.Name);
        return true;
    }

    private bool Failed(Job job, string reason)
    {
        runtime.Logger.LogWarning("{AppId} failed the job {Job}: {Reason}", runtime.Options.AppId, job.Name, reason);
        return false;
    }
}
