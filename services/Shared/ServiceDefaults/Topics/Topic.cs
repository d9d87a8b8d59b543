using System.Text.Json;
using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Observability;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Topics;

/// <summary>The events of one topic on their way to the handler; the same way for a delivery and for a dead letter sent through again.</summary>
internal sealed class Topic(
    string name,
    string publisher,
    Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle,
    HandledEvents handled,
    EventTypes types,
    EventSigning signing,
    UnknownTypes unknown,
    FailureLog failures,
    TimeProvider time,
    ILogger<Topic> logger,
    IReadOnlySet<string>? withoutEffect = null)
{
    private const int MostStreamsAtOnce = 64;

    /// <summary>In every event that has some.</summary>
    private const string Goods = "lines";

    public string Name { get; } = name;

    /// <summary>The app id of the only service that publishes here.</summary>
    public string Publisher { get; } = publisher;

    /// <summary>What was handled lately, however it came.</summary>
    public HandledEvents Handled { get; } = handled;

    public TopicSilence Silence { get; } = new(name, publisher, time);

    /// <summary>Handles a delivery; the answer for each event, in their order.</summary>
    public async Task<IReadOnlyList<DeliveryStatus>> DeliverAsync(IReadOnlyList<JsonElement> cloudEvents, CancellationToken cancellationToken)
    {
        Silence.Delivered(cloudEvents.Count);
        var statuses = new DeliveryStatus[cloudEvents.Count];
        var readable = new List<(int Index, IncomingEvent Event)>(cloudEvents.Count);
        for (var i = 0; i < cloudEvents.Count; i++)
        {
            try
            {
                var recorded = CloudEvents.ReadRecorded(cloudEvents[i], Publisher, signing);
                if (Concerns(recorded))
                    readable.Add((i, IncomingEvent.Of(Publisher, recorded, types)));
            }
            catch (Exception exception) when (IsHopeless(exception))
            {
                statuses[i] = await FailAsync(CloudEvents.Text(cloudEvents[i], "id"), exception);
            }
        }

        var streams = readable.GroupBy(entry => (entry.Event.Publisher, entry.Event.Recorded.Stream));
        await ForEachAsync(
            streams,
            async stream =>
            {
                var status = await HandleAsync(stream, cloudEvents, cancellationToken);
                foreach (var (index, _) in stream)
                    statuses[index] = status;
            },
            cancellationToken);
        DeliveryMetrics.Answered(Name, statuses);
        return statuses;
    }

    /// <summary>Handles events of one stream that the publisher's log has, in order of version; what they throw is answered, null when they are handled.</summary>
    public async Task<Exception?> TryHandleAsync(IReadOnlyList<RecordedEvent> recorded, CancellationToken cancellationToken)
    {
        if (recorded.Count == 0)
            return null;

        using var activity = Telemetry.StartHandling(Name, EventTraces.ParentOf(recorded[0]));
        using var about = Logging.Handling(recorded[0]);
        try
        {
            IReadOnlyList<IncomingEvent> concerning = [.. recorded.Where(Concerns).Select(e => IncomingEvent.Of(Publisher, e, types, IncomingEvent.ByCatchUp))];
            if (concerning.Count > 0)
                await HandleAsync(concerning, cancellationToken);
            return null;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return exception;
        }
    }

    /// <summary>Whether a message is an event of this topic's publisher, whatever becomes of it.</summary>
    public bool CanRead(JsonElement cloudEvent)
    {
        try
        {
            return CloudEvents.Read(cloudEvent, Publisher, types, signing).Recorded.Id == CloudEvents.Text(cloudEvent, "id");
        }
        catch (Exception exception) when (IsHopeless(exception))
        {
            return false;
        }
    }

    /// <summary>What the publisher said by a message, which may be anybody's.</summary>
    /// <exception cref="UnreadableEventException">It is not the publisher's.</exception>
    public RecordedEvent ReadGenuine(JsonElement cloudEvent)
    {
        var recorded = CloudEvents.ReadRecorded(cloudEvent, Publisher, signing);
        return CloudEvents.Text(cloudEvent, "id") == recorded.Id
            ? recorded
            : throw new UnreadableEventException($"Its id is '{CloudEvents.Text(cloudEvent, "id")}'; expected '{recorded.Id}', by its stream and version.");
    }

    /// <summary>As above; whether its data fits is another matter.</summary>
    public bool IsGenuine(JsonElement cloudEvent)
    {
        try
        {
            ReadGenuine(cloudEvent);
            return true;
        }
        catch (UnreadableEventException)
        {
            return false;
        }
    }

    public IncomingEvent Read(RecordedEvent recorded) => IncomingEvent.Of(Publisher, recorded, types);

    /// <summary>What an edit says of whom the event is about otherwise than the original does, or than its stream is named where that says nothing.</summary>
    public FieldErrors OtherIdentity(RecordedEvent original, IncomingEvent edited)
    {
        var errors = new FieldErrors();
        var readable = TryRead(original);
        var former = readable is null ? null : EventTypes.IdentityOf(readable);
        // One that cannot be read was never handled, so nothing is held by it.
        if (readable is not null)
            errors.Require(GoodsOf(readable) == GoodsOf(edited.Payload), $"data.{Goods}", "Expected the goods of the original: some of them may be held already, and what is held by the original is given back by it.");
        foreach (var (member, value) in EventTypes.IdentityOf(edited.Payload))
        {
            var expected = former?[member] ?? Written(original.Data, member) ?? original.Stream[(original.Stream.IndexOf('-', StringComparison.Ordinal) + 1)..];
            errors.Require(value == expected, $"data.{member}", $"Expected '{expected}': whom an event is about cannot be edited.");
        }

        return errors;
    }

    /// <summary>Many streams at once. They wait for the store, not for the processor: until they do, one thread serves them all.</summary>
    public static async Task ForEachAsync<T>(IEnumerable<T> streams, Func<T, Task> handle, CancellationToken cancellationToken)
    {
        using var free = new SemaphoreSlim(MostStreamsAtOnce);
        await Task.WhenAll(streams.Select(async stream =>
        {
            await free.WaitAsync(cancellationToken);
            try
            {
                await handle(stream);
            }
            finally
            {
                free.Release();
            }
        }));
    }

    /// <summary>No use to try it again.</summary>
    public static bool IsHopeless(Exception exception) => exception is UnreadableEventException or UnknownEventException;

    /// <summary>Handles one event; what it throws is the caller's.</summary>
    public async Task RedriveAsync(JsonElement cloudEvent, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.StartHandling(Name, CloudEvents.Text(cloudEvent, "traceparent"));
        var recorded = CloudEvents.ReadRecorded(cloudEvent, Publisher, signing);
        if (IsWithoutEffect(recorded))
            return;

        var incoming = IncomingEvent.Of(Publisher, recorded, types);
        if (!incoming.IsKnown)
            throw new UnknownEventException($"The event type '{incoming.Recorded.Type}' is not known here; redrive it when this service is upgraded.");

        using var about = Logging.Handling(incoming.Recorded);
        await HandleAsync([incoming], cancellationToken);
    }

    /// <summary>Handles an event that an operator has edited; what it throws is the caller's.</summary>
    /// <param name="traceParent">Of the original: what follows belongs to its trace.</param>
    public async Task RedriveAsync(IncomingEvent edited, string? traceParent, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.StartHandling(Name, traceParent);
        using var about = Logging.Handling(edited.Recorded);
        if (IsWithoutEffect(edited.Recorded))
            edited.Outcome?.Tell(isPassedOver: false, caused: 0);
        else
            await HandleAsync([edited], cancellationToken);
    }

    private static string? GoodsOf(object payload) =>
        JsonSerializer.SerializeToElement(payload, payload.GetType(), EventTypes.Json).TryGetProperty(Goods, out var goods) ? goods.GetRawText() : null;

    private object? TryRead(RecordedEvent recorded)
    {
        try
        {
            return types.Read(recorded);
        }
        catch (UnknownEventException)
        {
            return null;
        }
    }

    // As the payload would be read: whatever its case, the last of many.
    private static string? Written(JsonElement data, string member) => data.ValueKind == JsonValueKind.Object
        ? data.EnumerateObject().LastOrDefault(found => string.Equals(found.Name, member, StringComparison.OrdinalIgnoreCase)).Value is { ValueKind: JsonValueKind.String } text
            ? text.GetString()
            : null
        : null;

    private bool IsWithoutEffect(RecordedEvent recorded) => withoutEffect?.Contains(recorded.Type) == true;

    // What has no effect here is passed without being decoded, and what a later publisher has added is told.
    private bool Concerns(RecordedEvent recorded)
    {
        var isKnown = types.Knows(recorded.Type);
        if (isKnown && !IsWithoutEffect(recorded))
            return true;

        if (!isKnown)
            unknown.Tell(Name, recorded.Type);
        Handled.Add(recorded.Stream, recorded.Version);
        return false;
    }

    private async Task HandleAsync(IReadOnlyList<IncomingEvent> eventsOfOneStream, CancellationToken cancellationToken)
    {
        await handle(eventsOfOneStream, cancellationToken);
        foreach (var incoming in eventsOfOneStream)
        {
            Handled.Add(incoming.Recorded.Stream, incoming.Recorded.Version);
            DeliveryMetrics.Handled(Name, time.GetUtcNow() - incoming.Recorded.OccurredAt);
            await failures.HandledAsync(incoming.Recorded.Id);
        }
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
            await HandleAsync([.. ordered.Select(entry => entry.Event)], cancellationToken);
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
        var isHopeless = IsHopeless(exception);
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
