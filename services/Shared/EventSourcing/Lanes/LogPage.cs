namespace DaprOrders.EventSourcing;

/// <summary>A lane of the event log, with the position up to which it can be read.</summary>
public sealed record LogLane(string Name, long Settled);

/// <summary>Events of one lane in order. <c>Next</c> is the position to read on after.</summary>
public sealed record LogPage(IReadOnlyList<RecordedEvent> Events, long Next);

public sealed record LogLanes(IReadOnlyList<LogLane> Lanes);
