using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Resiliency;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>Where the events of a subscription are handed over: an application, or the stream of a client (daprd's postmen, pkg/runtime/subscription/postman).</summary>
internal interface IEventTarget
{
    /// <exception cref="AttemptFailedException">It was not handled; a retry policy may match the status.</exception>
    Task<EventAnswer> DeliverAsync(string path, DeliveredEvent delivered, CancellationToken cancellationToken);
}

/// <summary>A target that also takes many events in one call.</summary>
internal interface IBatchTarget : IEventTarget
{
    /// <summary>The verdicts by entry id; null when nobody is there who takes them, and all are dropped.</summary>
    /// <param name="path">The route of all of them.</param>
    /// <param name="entries">One event each.</param>
    /// <param name="isRaw">They are handed over as the bytes that they are.</param>
    /// <param name="cancellationToken">Gives the attempt up.</param>
    /// <exception cref="AttemptFailedException">None of them was handled.</exception>
    Task<Dictionary<string, AppVerdict>?> DeliverManyAsync(string path, IReadOnlyList<BatchEntry> entries, bool isRaw, CancellationToken cancellationToken);
}

/// <param name="Message">As the broker keeps it.</param>
/// <param name="CloudEvent">The same; an envelope around it where the subscription has raw payloads.</param>
/// <param name="Header">Of the CloudEvent.</param>
internal readonly record struct DeliveredEvent(BrokerMessage Message, ReadOnlyMemory<byte> CloudEvent, EventHeader Header);

/// <param name="Index">In the broker's batch.</param>
/// <param name="Id">Names it in the call and in its answer.</param>
/// <param name="Message">As the broker keeps it.</param>
/// <param name="Header">Of the CloudEvent.</param>
internal readonly record struct BatchEntry(int Index, string Id, BrokerMessage Message, EventHeader Header);

/// <param name="Verdict">What was made of the event.</param>
/// <param name="Words">The answer, for the log; null where it was success.</param>
internal readonly record struct EventAnswer(AppVerdict Verdict, string? Words)
{
    public static EventAnswer Success { get; } = new(AppVerdict.Success, null);
}
