using System.Collections.Concurrent;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Api.PubSub.Targets;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Grpc.Core;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>
/// Subscriptions that last as long as the stream of the client that asked for them (SubscribeTopicEventsAlpha1, pkg/api/grpc/subscribe.go). Several
/// of one topic compete, as replicas do. What a client has in hand when it goes is not handled: the broker delivers it again, if it does so.
/// </summary>
internal sealed class StreamingSubscriptions(SidecarRuntime runtime)
{
    /// <summary>How long clients may take to answer what they have in hand when the sidecar stops.</summary>
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<SubscriptionResource, LastingSubscription<PubSubComponent>> _open = new(ReferenceEqualityComparer.Instance);
    private readonly ConcurrentDictionary<Task, bool> _serving = new();
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Returns when the client has gone, or the sidecar stops.</summary>
    /// <exception cref="RpcException">It gets no such subscription; the texts are daprd's.</exception>
    internal async Task ServeAsync(
        IAsyncStreamReader<SubscribeTopicEventsRequestAlpha1> requests, IServerStreamWriter<SubscribeTopicEventsResponseAlpha1> responses, ServerCallContext call)
    {
        if (!await requests.MoveNext(call.CancellationToken) || requests.Current.InitialRequest is not { } initial)
            throw Refused("initial request is required");
        if (initial.PubsubName.Length == 0)
            throw Refused("pubsubName is required");
        if (initial.Topic.Length == 0)
            throw Refused("topic is required");
        if (!runtime.Loaded.PubSubs.TryGetValue(initial.PubsubName, out var component))
            throw new RpcException(new(StatusCode.InvalidArgument, PubSubErrors.NotFound(initial.PubsubName).Message));
        if (!component.Scopes.MaySubscribe(initial.Topic))
            throw Refused($"failed to create subscription for {component.Name}: subscription to topic '{initial.Topic}' on pubsub '{component.Name}' is not allowed");

        var subscription = new SubscriptionResource(
            "", component.Name, initial.Topic, [new("", "/")], initial.DeadLetterTopic is { Length: > 0 } deadLetters ? deadLetters : null,
            initial.Metadata.ToDictionary(), null, [], default);
        var serving = ServeAsync(component, subscription, requests, responses, call.CancellationToken);
        _serving[serving] = true;
        try
        {
            await serving;
        }
        finally
        {
            _serving.TryRemove(serving, out _);
        }
    }

    /// <summary>Ends all streams, when what their clients have in hand is answered.</summary>
    internal async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_serving.Keys.Select(serving => serving.ContinueWith(_ => { }, TaskScheduler.Default)));
    }

    /// <summary>Streams last when their broker's component is made anew; while there is none, nothing comes by them.</summary>
    internal async Task FollowAsync(CancellationToken cancellationToken)
    {
        var loaded = runtime.Loaded;
        foreach (var (subscription, stream) in _open)
        {
            var component = loaded.PubSubs.GetValueOrDefault(subscription.PubSubName);
            try
            {
                await stream.GoOverToAsync(component?.Scopes.MaySubscribe(subscription.Topic) == true ? component : null, cancellationToken);
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)
            {
                runtime.Logger.LogError(
                    error, "A stream of topic {Topic} cannot go on with the changed component {PubSub}", subscription.Topic, subscription.PubSubName);
            }
        }
    }

    internal void Describe(GetMetadataResponse metadata)
    {
        foreach (var subscription in _open.Keys)
            metadata.Subscriptions.Add(Subscriptions.Describe(subscription, PubsubSubscriptionType.Streaming));
    }

    private async Task ServeAsync(
        PubSubComponent component,
        SubscriptionResource subscription,
        IAsyncStreamReader<SubscribeTopicEventsRequestAlpha1> requests,
        IServerStreamWriter<SubscribeTopicEventsResponseAlpha1> responses,
        CancellationToken clientGone)
    {
        var stream = new StreamTarget(() => runtime.Loaded.Tracing, responses, component.Name, subscription.Topic);
        // Not before the subscription has begun to end: what is in hand then has not failed, and is neither acknowledged nor a dead letter.
        using var gone = new CancellationTokenSource();
        var subscribed = new LastingSubscription<PubSubComponent>((broker, cancellationToken) =>
        {
            var delivery = new TopicDelivery(runtime, stream, broker, subscription, gone.Token);
            return broker.Broker.SubscribeAsync(broker.TopicOf(subscription), (message, _) => delivery.DeliverAsync(message, gone.Token), cancellationToken);
        });
        await subscribed.GoOverToAsync(component, clientGone);
        var reading = Task.CompletedTask;
        _open[subscription] = subscribed;
        try
        {
            await stream.WelcomeAsync(clientGone);
            reading = ReadAsync(requests, stream, clientGone);
            await reading.WaitAsync(_stopping.Token);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested || clientGone.IsCancellationRequested)
        {
            // One of the two ends it.
        }
        finally
        {
            _open.TryRemove(subscription, out _);
            var leaving = subscribed.DisposeAsync().AsTask();
            if (!reading.IsCompleted)
                await Task.WhenAny(leaving, reading, Task.Delay(DrainLimit, runtime.Time, CancellationToken.None));
            await gone.CancelAsync();
            await leaving;
        }

        if (!clientGone.IsCancellationRequested && !reading.IsCompleted)
            throw new RpcException(new(StatusCode.Unavailable, "the sidecar is stopping"));
    }

    private static async Task ReadAsync(IAsyncStreamReader<SubscribeTopicEventsRequestAlpha1> requests, StreamTarget stream, CancellationToken cancellationToken)
    {
        while (await requests.MoveNext(cancellationToken))
            stream.Answered(requests.Current.EventProcessed ?? throw Refused("duplicate initial request received"));
    }

    private static RpcException Refused(string reason) => new(new(StatusCode.Unknown, reason));
}
