using System.Text.Json;
using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Observability;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Topics;

/// <summary>How a topic's events reach the handler: stream by stream, or in batches.</summary>
internal interface IHandling
{
    Task HandleAsync(IReadOnlyList<IncomingEvent> eventsOfOneStream, CancellationToken cancellationToken);
}

internal sealed class StreamByStream(Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle) : IHandling
{
    public Task HandleAsync(IReadOnlyList<IncomingEvent> eventsOfOneStream, CancellationToken cancellationToken) =>
        handle(eventsOfOneStream, cancellationToken);
}

/// <summary>The events of one topic on their way to the handler; the same way for a delivery and for a dead letter sent through again.</summary>
internal sealed class Topic(
    string name, string publisher, IHandling handling, EventTypes types, EventSigning signing, UnknownTypes unknown, FailureLog failures, ILogger<Topic> logger)
{
    /// <summary>Streams of one delivery at work at once. They wait for the store, not for the processor.</summary>
    private const int MostStreamsAtOnce = 64;

    public string Name { get; } = name;

    /// <summary>The app id of the only service that publishes here.</summary>
    public string Publisher { get; } = publisher;

    /// <summary>Handles a delivery; the answer for each event, in their order.</summary>
    public async Task<IReadOnlyList<DeliveryStatus>> DeliverAsync(IReadOnlyList<JsonElement> cloudEvents, CancellationToken cancellationToken)
    {
        var statuses = new DeliveryStatus[cloudEvents.Count];
        var readable = new List<(int Index, IncomingEvent Event)>(cloudEvents.Count);
        for (var i = 0; i < cloudEvents.Count; i++)
        {
            try
            {
                var incoming = CloudEvents.Read(cloudEvents[i], Publisher, types, signing);
                if (incoming.IsKnown)
                    readable.Add((i, incoming));
                else
                    unknown.Tell(Name, incoming.Recorded.Type);
            }
            catch (Exception exception) when (exception is UnreadableEventException or UnknownEventException)
            {
                statuses[i] = await FailAsync(CloudEvents.Text(cloudEvents[i], "id"), exception);
            }
        }

        var streams = readable.GroupBy(entry => (entry.Event.Publisher, entry.Event.Recorded.Stream));
        await Parallel.ForEachAsync(
            streams,
            new ParallelOptions { MaxDegreeOfParallelism = MostStreamsAtOnce, CancellationToken = cancellationToken },
            async (stream, cancellation) =>
            {
                var status = await HandleAsync(stream, cloudEvents, cancellation);
                foreach (var (index, _) in stream)
                    statuses[index] = status;
            });
        return statuses;
    }

    /// <summary>Handles one event; what it throws is the caller's.</summary>
    public async Task RedriveAsync(JsonElement cloudEvent, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.StartHandling(Name, CloudEvents.Text(cloudEvent, "traceparent"));
        var incoming = CloudEvents.Read(cloudEvent, Publisher, types, signing);
        if (!incoming.IsKnown)
            throw new UnknownEventException($"The event type '{incoming.Recorded.Type}' is not known here; redrive it when this service is upgraded.");

        using var about = Logging.Handling(incoming.Recorded);
        await handling.HandleAsync([incoming], cancellationToken);
    }

    private async Task<DeliveryStatus> HandleAsync(
        IGrouping<(string Publisher, string Stream), (int Index, IncomingEvent Event)> stream,
        IReadOnlyList<JsonElement> cloudEvents,
        CancellationToken cancellationToken)
    {
        var ordered = stream.OrderBy(entry => entry.Event.Recorded.Version).DistinctBy(entry => entry.Event.Recorded.Version).ToList();
        using var activity = Telemetry.StartHandling(Name, CloudEvents.Text(cloudEvents[ordered[0].Index], "traceparent"));
        using var about = Logging.Handling(ordered[0].Event.Recorded);
        try
        {
            await handling.HandleAsync([.. ordered.Select(entry => entry.Event)], cancellationToken);
            return DeliveryStatus.Success;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            var status = DeliveryStatus.Retry;
            foreach (var (_, failed) in ordered)
                status = await FailAsync(failed.Recorded.Id, exception);
            return status;
        }
    }

    private async Task<DeliveryStatus> FailAsync(string? eventId, Exception exception)
    {
        var isHopeless = exception is UnreadableEventException or UnknownEventException;
        if (isHopeless)
            logger.LogError("Event {EventId} of topic {Topic} goes to the dead letters: {Error}", eventId, Name, FailureLog.Describe(exception));
        else
            // The stack says something only where it is not another process that failed.
            logger.LogWarning(
                exception is HttpRequestException or DaprException or EventStoreUnavailableException ? null : exception,
                "Event {EventId} of topic {Topic} will be delivered again: {Error}", eventId, Name, FailureLog.Describe(exception));
        if (eventId is not null)
            await failures.RecordAsync(eventId, exception);
        return isHopeless ? DeliveryStatus.Drop : DeliveryStatus.Retry;
    }
}
