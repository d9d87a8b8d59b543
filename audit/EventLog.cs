using System.Text.Json;

namespace DaprOrders.Audit;

/// <summary>An event as a service's log gave it. Equal when all of it is.</summary>
internal sealed record LoggedEvent(string Stream, long Version, string Type, DateTimeOffset OccurredAt, string Text)
{
    public JsonElement Data => JsonElement.Parse(Text).GetProperty("data");

    public static LoggedEvent Of(JsonElement logged) => new(
        logged.GetProperty("stream").GetString()!,
        logged.GetProperty("version").GetInt64(),
        logged.GetProperty("type").GetString()!,
        logged.GetProperty("occurredAt").GetDateTimeOffset(),
        logged.GetRawText());
}

/// <summary>
/// All that a service's event log ever gave, remembered from one reading to the next, so that an event which is another the next time, or is
/// gone, is noticed.
/// </summary>
internal sealed class EventLog(SystemUnderAudit system, string service)
{
    private const int PageSize = 1000;

    private readonly Dictionary<string, long> _positions = [];
    private readonly Dictionary<string, SortedDictionary<long, LoggedEvent>> _streams = [];
    private readonly List<string> _violations = [];

    public string Service => service;

    /// <summary>By stream, its events by version.</summary>
    public IReadOnlyDictionary<string, SortedDictionary<long, LoggedEvent>> Streams => _streams;

    public long Count => _streams.Values.Sum(stream => (long)stream.Count);

    /// <summary>What can never be, whatever is still on its way: found by any reading so far.</summary>
    public IReadOnlyList<string> Violations => _violations;

    /// <summary>Versions that are missing before later ones.</summary>
    public IEnumerable<string> Gaps => _streams
        .Where(stream => stream.Value.Keys.Last() != stream.Value.Count || stream.Value.Keys.First() != 1)
        .Select(stream => $"{stream.Key} at {service} has the versions {string.Join(", ", stream.Value.Keys.Take(20))}; expected 1 to n without a gap");

    public IEnumerable<(string Id, IReadOnlyCollection<LoggedEvent> Events)> OfCategory(string category) => _streams
        .Where(stream => stream.Key.StartsWith($"{category}-", StringComparison.Ordinal))
        .Select(stream => (stream.Key[(category.Length + 1)..], (IReadOnlyCollection<LoggedEvent>)stream.Value.Values));

    /// <summary>The events of one stream, oldest first; none when the log has none.</summary>
    public IReadOnlyCollection<LoggedEvent> Of(string stream) => _streams.TryGetValue(stream, out var events) ? events.Values : [];

    /// <summary>Reads what is new. False when nothing is.</summary>
    public async Task<bool> ReadOnAsync(CancellationToken cancellationToken)
    {
        var moved = false;
        foreach (var (lane, settled) in await ReadLanesAsync(cancellationToken))
        {
            var position = _positions.GetValueOrDefault(lane);
            if (position == settled)
                continue;
            moved = true;
            _positions[lane] = await ReadLaneAsync(lane, position, settled, (logged, _) =>
            {
                var stream = _streams.TryGetValue(logged.Stream, out var known) ? known : _streams[logged.Stream] = [];
                if (!stream.TryAdd(logged.Version, logged))
                    _violations.Add($"{service} has {logged.Stream}:{logged.Version} twice in its log: {stream[logged.Version].Text} and {logged.Text}");
            }, cancellationToken);
        }

        return moved;
    }

    /// <summary>Reads all of it once more, as far as it was read: every event must be there, and be what it was.</summary>
    public async Task ReadAgainAsync(CancellationToken cancellationToken)
    {
        var lanes = await ReadLanesAsync(cancellationToken);
        var again = new HashSet<(string, long)>();
        foreach (var (lane, position) in _positions)
        {
            if (!lanes.TryGetValue(lane, out var settled) || settled < position)
            {
                _violations.Add($"Lane {lane} of {service} was read up to {position} and now {(lanes.ContainsKey(lane) ? $"ends at {settled}" : "is gone")}");
                continue;
            }

            await ReadLaneAsync(lane, 0, position, (logged, next) =>
            {
                again.Add((logged.Stream, logged.Version));
                var before = _streams.GetValueOrDefault(logged.Stream)?.GetValueOrDefault(logged.Version);
                if (before is not null && before != logged)
                    _violations.Add($"{logged.Stream}:{logged.Version} of {service} was {before.Text} and is now {logged.Text}");
                else if (before is null && next <= position)
                    _violations.Add($"{logged.Stream}:{logged.Version} of {service} came into lane {lane} before the position {position}, up to which it had been read");
            }, cancellationToken);
        }

        foreach (var stream in _streams)
        {
            foreach (var version in stream.Value.Keys.Where(version => !again.Contains((stream.Key, version))))
                _violations.Add($"{stream.Key}:{version} was in the log of {service} and is gone");
        }
    }

    private async Task<Dictionary<string, long>> ReadLanesAsync(CancellationToken cancellationToken) =>
        (await system.GetAsync(service, "event-log", cancellationToken)).GetProperty("lanes").EnumerateArray()
            .ToDictionary(lane => lane.GetProperty("name").GetString()!, lane => lane.GetProperty("settled").GetInt64());

    /// <summary>Up to the given position; a page that goes beyond it is whole, and told as the answer.</summary>
    private async Task<long> ReadLaneAsync(string lane, long after, long until, Action<LoggedEvent, long> each, CancellationToken cancellationToken)
    {
        while (after < until)
        {
            var page = await system.GetAsync(service, $"event-log/{lane}?after={after}&limit={PageSize}", cancellationToken);
            var next = page.GetProperty("next").GetInt64();
            foreach (var logged in page.GetProperty("events").EnumerateArray())
                each(LoggedEvent.Of(logged), next);
            if (next <= after)
                throw new AuditException($"{service} says that lane {lane} is settled up to {until}, and gives nothing after {after}.");
            after = next;
        }

        return after;
    }
}
