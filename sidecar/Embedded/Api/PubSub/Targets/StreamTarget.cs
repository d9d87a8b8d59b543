using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Tracing;
using Grpc.Core;
using Status = Dapr.AppCallback.Autogen.Grpc.v1.TopicEventResponse.Types.TopicEventResponseStatus;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>A client that took a subscription as a stream: each event is written to it, and it answers by the event's id, in any order (pkg/runtime/pubsub/streamer).</summary>
internal sealed class StreamTarget(
    Func<SidecarTracing?> tracing, IServerStreamWriter<SubscribeTopicEventsResponseAlpha1> responses, string pubsub, string topic) : IEventTarget
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, List<TaskCompletionSource<Status>>> _unanswered = [];

    /// <summary>One writes at a time; nobody before the client was welcomed.</summary>
    private readonly SemaphoreSlim _writing = new(0, 1);

    /// <summary>Tells the client that it has its subscription; events follow.</summary>
    public async Task WelcomeAsync(CancellationToken cancellationToken)
    {
        await responses.WriteAsync(new() { InitialResponse = new() }, cancellationToken);
        _writing.Release();
    }

    /// <summary>An answer of the client; without a status it is success. One that nobody waits for (any more) means nothing.</summary>
    public void Answered(SubscribeTopicEventsRequestProcessedAlpha1 answer)
    {
        lock (_lock)
        {
            // Several events of one id are answered in the order in which they were sent.
            if (_unanswered.TryGetValue(answer.Id, out var waiting))
                _ = waiting.Exists(one => one.TrySetResult(answer.Status?.Status ?? Status.Success));
        }
    }

    public async Task<EventAnswer> DeliverAsync(string path, DeliveredEvent delivered, CancellationToken cancellationToken)
    {
        using var span = tracing()?.StartDelivery(topic, delivered.Header.TraceParent);
        var request = GrpcEvents.ToRequest(delivered.CloudEvent, pubsub, topic, path);
        var answer = new TaskCompletionSource<Status>(TaskCreationOptions.RunContinuationsAsynchronously);
        Await(request.Id, answer);
        try
        {
            await _writing.WaitAsync(cancellationToken);
            try
            {
                await responses.WriteAsync(new() { EventMessage = request }, cancellationToken);
            }
            finally
            {
                _writing.Release();
            }

            return GrpcEvents.Answer(await answer.Task.WaitAsync(cancellationToken));
        }
        catch (Exception error) when (error is InvalidOperationException or IOException)
        {
            // The client has gone. That is no failure of the event: it stays in hand until the subscription ends, and comes again.
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            throw;
        }
        finally
        {
            Forget(request.Id, answer);
        }
    }

    private void Await(string id, TaskCompletionSource<Status> answer)
    {
        lock (_lock)
        {
            if (!_unanswered.TryGetValue(id, out var waiting))
                _unanswered.Add(id, waiting = []);
            waiting.Add(answer);
        }
    }

    private void Forget(string id, TaskCompletionSource<Status> answer)
    {
        lock (_lock)
        {
            var waiting = _unanswered[id];
            waiting.Remove(answer);
            if (waiting.Count == 0)
                _unanswered.Remove(id);
        }
    }
}
