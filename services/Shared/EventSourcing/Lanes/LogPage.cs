using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing;

/// <summary>A lane of the event log, with the position up to which it can be read.</summary>
/// <param name="IsClosed">Nothing is added any more: whoever has read up to <c>Settled</c> or beyond is through for good.</param>
public sealed record LogLane(string Name, long Settled, bool IsClosed = false)
{
    /// <summary>The instance that adds to it, or publishes what another left; null where none does.</summary>
    public string? Owner { get; init; }

    /// <summary>
    /// <c>held</c>: its owner shows that it lives. <c>leftBehind</c>: the owner was silent for the time of its lease, and another takes what it left. <c>free</c>: given back,
    /// for the next instance. <c>closed</c>: a recovery closed it.
    /// </summary>
    public string State { get; init; } = "";

    /// <summary>Commits that the broker does not have yet; of another instance's lane as of up to a second ago.</summary>
    public long Unpublished { get; init; }
}

/// <summary>Events of one lane in order. <c>Next</c> is the position to read on after, <c>Settled</c> the last one that can be read now.</summary>
/// <param name="Lost">
/// What the store has lost between the position asked for and <c>Next</c>, once a recovery was declared; null where nothing is. Whoever read these
/// positions before keeps what others cannot read any more.
/// </param>
public sealed record LogPage(IReadOnlyList<RecordedEvent> Events, long Next, long Settled, IReadOnlyList<LostPositions>? Lost = null);

/// <summary>Versions <c>From</c>..<c>To</c> of a stream, as a batch of the lane was to commit them: almost always it did.</summary>
/// <param name="Topic">Where they were published; null: nowhere.</param>
/// <param name="Position">Of the batch in the lane.</param>
public sealed record LogEntry(string Stream, long From, long To, string? Topic, long Position);

/// <summary>What a lane holds, without the events themselves. <c>Next</c> and <c>Settled</c> as in <see cref="LogPage"/>.</summary>
public sealed record LogEntries(IReadOnlyList<LogEntry> Entries, long Next, long Settled, IReadOnlyList<LostPositions>? Lost = null);

/// <summary>Events <c>After</c>+1 to <c>UpTo</c> of a stream.</summary>
public sealed record StreamRange(string Stream, long After, long UpTo);

/// <summary>The events of the first <c>Ranges</c> of those asked for, which is at least one; the rest would make the answer too large.</summary>
public sealed record StreamEvents(IReadOnlyList<RecordedEvent> Events, int Ranges);

/// <summary>Positions of a lane, the first and the last of them.</summary>
public sealed record LostPositions([property: JsonPropertyName("from")] long From, [property: JsonPropertyName("to")] long To);

/// <param name="Loss">Null unless the state store went back in time and no recovery is through.</param>
public sealed record LogLanes(IReadOnlyList<LogLane> Lanes, LogLoss? Loss = null);

/// <summary>What a state store lost that went back in time.</summary>
/// <param name="DeclaredAt">When the recovery was declared; null until then.</param>
public sealed record LogLoss(DateTimeOffset NoticedAt, string NoticedBy, DateTimeOffset? DeclaredAt, IReadOnlyList<LostPart> Parts);

/// <summary>Of a lane the positions <c>From</c> to <c>To</c> are lost, or parts of them; none is known to be where <c>From</c> is above <c>To</c>.</summary>
public sealed record LostPart(string Lane, long From, long To);

/// <summary>
/// A reader of a lane has read further than the lane reaches: the store of its publisher went back in time. Until the recovery is declared there, the
/// reader waits; afterwards the lane is closed, and what is lost is told.
/// </summary>
public sealed class PositionAheadException(string lane, long after, long settled) : Exception(
    $"Lane {lane} reaches to {settled}, and was read up to {after}: the state store of this service went back in time. "
    + "An operator must declare the recovery here (POST /event-log/recovery); then what is lost is told, and passed.");
