using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace EmbeddedSidecar.Components.PubSub.JetStream;

/// <summary>
/// The push consumer of one subscription on its stream, laid out as daprd does (components-contrib, pubsub/jetstream/jetstream.go): a durable one has the
/// name that the component gives it, in whichever stream takes the topic, and is shared through its queue group; another one is made for each subscription.
/// </summary>
/// <param name="StreamCreated">Tells a stream from another one of its name.</param>
/// <param name="Next">The first message of the stream that it will deliver.</param>
internal sealed record JetStreamConsumer(string Stream, DateTimeOffset StreamCreated, string Name, string DeliverSubject, ulong Next)
{
    private const int ConsumerNotFound = 10014;
    private const int StreamNotFound = 10059;

    /// <summary>Binds to the durable consumer that is there, or makes one; <paramref name="subscribe"/> listens where it delivers to before it is made.</summary>
    /// <param name="resumeFrom">Of a consumer that was lost: its stream, and the first message that was not acknowledged. Counts where there is no durable name.</param>
    /// <exception cref="InvalidOperationException">There is no such stream, or a consumer of that name is not what this subscription needs.</exception>
    /// <exception cref="NatsException">The server refused, or did not answer.</exception>
    public static async Task<JetStreamConsumer> OpenAsync(
        NatsJSContext jetStream,
        JetStreamPubSubOptions options,
        string topic,
        (DateTimeOffset Stream, ulong Sequence)? resumeFrom,
        Func<string, Task> subscribe,
        CancellationToken cancellationToken)
    {
        var name = options.StreamName ?? await StreamOfAsync(jetStream, topic, cancellationToken);
        var stream = await GetStreamAsync(jetStream, name, cancellationToken);
        var wanted = options.Consumer;
        if (wanted.DurableName is { } durable && await FindAsync(jetStream, name, durable, cancellationToken) is { } there)
        {
            RefuseOther(there, wanted, topic);
            await subscribe(there.Config.DeliverSubject!);
            return Of(stream, there);
        }

        var config = wanted with
        {
            Name = wanted.DurableName ?? $"{Guid.NewGuid():N}",
            FilterSubject = topic,
            // Of its own, since the one of the connection listens to all below its name, and the server would take it for a subscriber.
            DeliverSubject = $"{jetStream.Connection.Opts.InboxPrefix}.{Guid.NewGuid():N}",
        };
        if (wanted.DurableName is null && resumeFrom is { } resume && resume.Stream == stream.Info.Created)
            config = config with { DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence, OptStartSeq = resume.Sequence, OptStartTime = default };
        await subscribe(config.DeliverSubject);
        return Of(stream, (await jetStream.CreateConsumerAsync(name, config, cancellationToken)).Info);
    }

    /// <summary>False: it is gone, or was made again by somebody else. No answer says nothing.</summary>
    public async Task<bool> IsThereAsync(NatsJSContext jetStream, CancellationToken cancellationToken) =>
        (await FindAsync(jetStream, Stream, Name, cancellationToken))?.Config.DeliverSubject == DeliverSubject;

    private static JetStreamConsumer Of(INatsJSStream stream, ConsumerInfo info) =>
        new(info.StreamName, stream.Info.Created, info.Name, info.Config.DeliverSubject!, info.Delivered.StreamSeq + 1);

    private static async Task<string> StreamOfAsync(NatsJSContext jetStream, string topic, CancellationToken cancellationToken)
    {
        await foreach (var name in jetStream.ListStreamNamesAsync(topic, cancellationToken))
            return name;
        cancellationToken.ThrowIfCancellationRequested();
        throw new InvalidOperationException($"no stream takes the subject {topic}. Dapr makes none: make one that does");
    }

    private static async Task<INatsJSStream> GetStreamAsync(NatsJSContext jetStream, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await jetStream.GetStreamAsync(name, cancellationToken: cancellationToken);
        }
        catch (NatsJSApiException error) when (error.Error.ErrCode == StreamNotFound)
        {
            throw new InvalidOperationException($"there is no stream {name}. Dapr makes none: make it, or correct streamName", error);
        }
    }

    private static async Task<ConsumerInfo?> FindAsync(NatsJSContext jetStream, string stream, string name, CancellationToken cancellationToken)
    {
        try
        {
            return (await jetStream.GetConsumerAsync(stream, name, cancellationToken)).Info;
        }
        catch (NatsJSApiException error) when (error.Error.ErrCode is ConsumerNotFound or StreamNotFound)
        {
            return null;
        }
    }

    /// <summary>What nats.go compares (checkConfig, processConsInfo): what is not given is as the consumer has it.</summary>
    private static void RefuseOther(ConsumerInfo there, ConsumerConfig wanted, string topic)
    {
        var has = there.Config;
        if (has.DeliverSubject is not { Length: > 0 })
            throw Other("it is a pull consumer, which Dapr cannot use");
        if (has.FilterSubject is { Length: > 0 } filter && filter != topic)
            throw Other($"it is of the topic {filter}: one durableName in one stream is one consumer, so each topic needs a stream of its own");
        if ((has.DeliverGroup ?? "") != (wanted.DeliverGroup ?? ""))
            throw Other($"its queue group is '{has.DeliverGroup}', queueGroupName is '{wanted.DeliverGroup}'");
        if (has.DeliverGroup is not { Length: > 0 } && there.PushBound)
            throw Other("somebody has subscribed it already; replicas need a queueGroupName");
        Compare("deliverPolicy", wanted.DeliverPolicy, has.DeliverPolicy, true);
        Compare("startSequence", wanted.OptStartSeq, has.OptStartSeq, wanted.OptStartSeq > 0);
        Compare("startTime", wanted.OptStartTime, has.OptStartTime, wanted.OptStartTime != default);
        Compare("ackPolicy", wanted.AckPolicy, has.AckPolicy, true);
        // The first of backOff is its ackWait.
        Compare("ackWait", wanted.AckWait, has.AckWait, wanted.AckWait > TimeSpan.Zero && wanted.Backoff is null);
        Compare("maxDeliver", wanted.MaxDeliver, has.MaxDeliver, wanted.MaxDeliver > 0);
        Compare("rateLimit", wanted.RateLimitBps, has.RateLimitBps, wanted.RateLimitBps > 0);
        Compare("maxAckPending", wanted.MaxAckPending, has.MaxAckPending, wanted.MaxAckPending > 0);
        Compare("flowControl", wanted.FlowControl, has.FlowControl, wanted.FlowControl);
        Compare("heartbeat", wanted.IdleHeartbeat, has.IdleHeartbeat, wanted.IdleHeartbeat > TimeSpan.Zero);
        Compare("replicas", wanted.NumReplicas, has.NumReplicas, wanted.NumReplicas > 0);
        Compare("memoryStorage", wanted.MemStorage, has.MemStorage, wanted.MemStorage);

        void Compare<T>(string field, T given, T its, bool isGiven)
        {
            if (isGiven && !EqualityComparer<T>.Default.Equals(given, its))
                throw Other($"its {field} is {its}, the component says {given}; take that back, or delete the consumer when its stream is read to the end");
        }

        InvalidOperationException Other(string why) => new($"the consumer {there.Name} of stream {there.StreamName} cannot be used: {why}");
    }
}
