namespace DaprOrders.EventSourcing;

/// <summary>A lane of the event log, with the position up to which it can be read.</summary>
public sealed record LogLane(string Name, long Settled);

/// <summary>Events of one lane in order. <c>Next</c> is the position to read on after, <c>Settled</c> the last one that can be read now.</summary>
public sealed record LogPage(IReadOnlyList<RecordedEvent> Events, long Next, long Settled);

/// <summary>Versions <c>From</c>..<c>To</c> of a stream, as a batch of the lane was to commit them: almost always it did.</summary>
/// <param name="Topic">Where they were published; null: nowhere.</param>
/// <param name="Position">Of the batch in the lane.</param>
public sealed record LogEntry(string Stream, long From, long To, string? Topic, long Position);

/// <summary>What a lane holds, without the events themselves. <c>Next</c> and <c>Settled</c> as in <see cref="LogPage"/>.</summary>
public sealed record LogEntries(IReadOnlyList<LogEntry> Entries, long Next, long Settled);

/// <summary>Events <c>After</c>+1 to <c>UpTo</c> of a stream.</summary>
public sealed record StreamRange(string Stream, long After, long UpTo);

/// <summary>The events of the first <c>Ranges</c> of those asked for, which is at least one; the rest would make the answer too large.</summary>
public sealed record StreamEvents(IReadOnlyList<RecordedEvent> Events, int Ranges);

public sealed record LogLanes(IReadOnlyList<LogLane> Lanes);
