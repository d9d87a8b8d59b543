using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing;

/// <summary>All streams of one kind: how they are named, where their events are published, how a state is folded from them.</summary>
/// <param name="Name">The first part of the stream id, for instance <c>order</c>; letters and digits.</param>
/// <param name="Topic">The topic of every event of these streams; null when they are not published.</param>
/// <param name="SnapshotVersion">Raise it when the shape of <typeparamref name="TState"/> changes: older snapshots are then ignored and the state is folded anew.</param>
/// <param name="NameOf">
/// A name that no other event of the stream has, for events that decisions ask for one by one (<see cref="EventStore"/>.HandleAsync with names),
/// however many came since: so the state need not remember them. For small events: those of a page are written in one call. Null for the others.
/// </param>
public sealed record StreamCategory<TState, TEvent>(
    string Name,
    string? Topic,
    TState Initial,
    Func<TState, TEvent, TState> Evolve,
    int SnapshotVersion = 1,
    Func<TEvent, string?>? NameOf = null)
    where TEvent : class
{
    /// <exception cref="ArgumentException">The state cannot be a snapshot, so a long stream would be folded whole at every load.</exception>
    public string Name { get; } = typeof(TState).IsSealed || Attribute.IsDefined(typeof(TState), typeof(JsonDerivedTypeAttribute))
        ? Name
        : throw new ArgumentException(
            $"The streams '{Name}' fold to {typeof(TState)}, of which a snapshot could lose a part: expected a sealed type, or one that names its subtypes by [JsonDerivedType].");

    /// <summary>Whether a stream is one of these.</summary>
    public bool IsStream(string stream) => stream.Length > Name.Length && stream[Name.Length] == '-' && stream.StartsWith(Name, StringComparison.Ordinal);

    /// <summary>The id of one of these streams.</summary>
    public string IdOf(string stream) => stream[(Name.Length + 1)..];

    /// <exception cref="ArgumentException">The id holds a '|', which separates the parts of keys.</exception>
    public string StreamOf(string id) => id.Contains('|', StringComparison.Ordinal)
        ? throw new ArgumentException($"The id of a stream has no '|'; got '{id}'.", nameof(id))
        : $"{Name}-{id}";
}

/// <summary>A stream as it was read: version 0 and the initial state when it does not exist.</summary>
/// <param name="Positions">By source stream, the last version that was applied here.</param>
public sealed record StreamState<TState>(
    string Stream,
    long Version,
    TState State,
    DateTimeOffset? CreatedAt,
    DateTimeOffset? UpdatedAt,
    IReadOnlyDictionary<string, long> Positions)
{
    public bool Exists => Version > 0;

    /// <summary>The trace of the last event, where it is at hand.</summary>
    internal string? CorrelationId { get; init; }

    /// <summary>And its span.</summary>
    internal string? SpanId { get; init; }
}

/// <summary>How a command ended. <c>Appended</c> is empty when nothing changed; <c>Refusal</c> is set when the decider refused.</summary>
public sealed record Handled<TState>(StreamState<TState> Stream, IReadOnlyList<RecordedEvent> Appended, Refusal? Refusal);

/// <summary>What a command brings along.</summary>
/// <param name="CorrelationId">Null takes the current trace id, or else that of the last event of the stream.</param>
/// <param name="ExpectedVersion">From If-Match: the command is refused with <see cref="WrongVersionException"/> at any other version.</param>
/// <param name="LikelyNew">The stream most likely does not exist: the first try saves the read.</param>
public sealed record CommandContext(
    string? CorrelationId = null,
    string? CausationId = null,
    long? ExpectedVersion = null,
    bool LikelyNew = false);

/// <summary>The stream is not at the version that the caller expected: 412.</summary>
public sealed class WrongVersionException(string stream, long expected, long actual)
    : Exception($"Stream {stream} is at version {actual}, not {expected}. Read it again and decide anew.")
{
    public long Expected { get; } = expected;

    public long Actual { get; } = actual;
}

/// <summary>The event store cannot take the command now: 503 with Retry-After. Nothing was acknowledged.</summary>
public class EventStoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// A stream holds an event that a later version of this service wrote, as happens while instances are replaced one by one. This instance
/// must not decide without it: 503.
/// </summary>
public sealed class NewerEventException(string message, Exception inner) : EventStoreUnavailableException(message, inner);

/// <summary>The state store went back in time: nothing is read or committed until an operator declares the recovery.</summary>
public sealed class StoreWentBackException(string message) : EventStoreUnavailableException(message);

/// <summary>An event, or all events of a command together, above the limits of <see cref="EventStoreOptions"/>: refused before anything is stored.</summary>
public sealed class EventTooLargeException(string message) : Exception(message);
