using System.Text;
using System.Text.Json;

namespace DaprOrders.Audit;

/// <summary>An event as a service's log gave it. All events of a system are in memory at once, so it holds no more than their bytes.</summary>
internal sealed class LoggedEvent(long version, string type, DateTimeOffset occurredAt, byte[] json)
{
    public long Version => version;

    public string Type => type;

    public DateTimeOffset OccurredAt => occurredAt;

    public JsonElement Data => JsonElement.Parse(json).GetProperty("data");

    /// <summary>As the log gave it.</summary>
    public string Text => Encoding.UTF8.GetString(json);

    public bool IsSameAs(LoggedEvent other) => json.AsSpan().SequenceEqual(other.Json);

    private byte[] Json => json;

    public static LoggedEvent Of(JsonElement logged) => new(
        logged.GetProperty("version").GetInt64(),
        string.Intern(logged.GetProperty("type").GetString()!),
        logged.GetProperty("occurredAt").GetDateTimeOffset(),
        Encoding.UTF8.GetBytes(logged.GetRawText()));
}

/// <summary>
/// All that a service's event log ever gave, remembered from one reading to the next, so that an event which is another the next time, or is
/// gone, is noticed.
/// </summary>
internal sealed class EventLog(SystemUnderAudit system, string service)
{
    private const int PageSize = 1000;

    private readonly Dictionary<string, long> _positions = [];
    private readonly Dictionary<string, SortedList<long, LoggedEvent>> _streams = [];
    private readonly List<string> _violations = [];

    public string Service => service;

    /// <summary>By stream, its events by version.</summary>
    public IReadOnlyDictionary<string, SortedList<long, LoggedEvent>> Streams => _streams;

    public long Count => _streams.Values.Sum(stream => (long)stream.Count);

    /// <summary>What can never be, whatever is still on its way: found by any reading so far.</summary>
    public IReadOnlyList<string> Violations => _violations;

    /// <summary>Versions that are missing before later ones.</summary>
    public IEnumerable<string> Gaps => _streams
        .Where(stream => stream.Value.Keys[^1] != stream.Value.Count || stream.Value.Keys[0] != 1)
        .Select(stream => $"{stream.Key} at {service} has the versions {string.Join(", ", stream.Value.Keys.Take(20))}; expected 1 to n without a gap");

    public IEnumerable<(string Id, IReadOnlyCollection<LoggedEvent> Events)> OfCategory(string category) => _streams
        .Where(stream => stream.Key.StartsWith($"{category}-", StringComparison.Ordinal))
        .Select(stream => (stream.Key[(category.Length + 1)..], (IReadOnlyCollection<LoggedEvent>)stream.Value.Values.AsReadOnly()));

    /// <summary>The events of one stream, oldest first; none when the log has none.</summary>
    public IReadOnlyCollection<LoggedEvent> Of(string stream) => _streams.TryGetValue(stream, out var events) ? events.Values.AsReadOnly() : [];

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
            _positions[lane] = await ReadLaneAsync(lane, position, settled, (name, logged, _) =>
            {
                var stream = _streams.TryGetValue(name, out var known) ? known : _streams[name] = [];
                if (!stream.TryAdd(logged.Version, logged))
                    _violations.Add($"{service} has {name}:{logged.Version} twice in its log: {stream[logged.Version].Text} and {logged.Text}");
            }, cancellationToken);
        }

        return moved;
    }

    /// <summary>Reads all of it once more, as far as it was read: every event must be there, and be what it was.</summary>
    public async Task ReadAgainAsync(CancellationToken cancellationToken)
    {
        var lanes = await ReadLanesAsync(cancellationToken);
        var again = new HashSet<LoggedEvent>();
        foreach (var (lane, position) in _positions)
        {
            if (!lanes.TryGetValue(lane, out var settled) || settled < position)
            {
                _violations.Add($"Lane {lane} of {service} was read up to {position} and now {(lanes.ContainsKey(lane) ? $"ends at {settled}" : "is gone")}");
                continue;
            }

            await ReadLaneAsync(lane, 0, position, (name, logged, next) =>
            {
                if (_streams.GetValueOrDefault(name)?.GetValueOrDefault(logged.Version) is { } before)
                {
                    again.Add(before);
                    if (!before.IsSameAs(logged))
                        _violations.Add($"{name}:{logged.Version} of {service} was {before.Text} and is now {logged.Text}");
                }
                else if (next <= position)
                {
                    _violations.Add($"{name}:{logged.Version} of {service} came into lane {lane} before the position {position}, up to which it had been read");
                }
            }, cancellationToken);
        }

        foreach (var stream in _streams)
        {
            foreach (var gone in stream.Value.Values.Where(logged => !again.Contains(logged)))
                _violations.Add($"{stream.Key}:{gone.Version} was in the log of {service} and is gone");
        }
    }

    private async Task<Dictionary<string, long>> ReadLanesAsync(CancellationToken cancellationToken) =>
        (await system.GetAsync(service, "event-log", cancellationToken)).GetProperty("lanes").EnumerateArray()
            .ToDictionary(lane => lane.GetProperty("name").GetString()!, lane => lane.GetProperty("settled").GetInt64());

    /// <summary>Up to the given position; a page that goes beyond it is whole, and told as the answer.</summary>
    private async Task<long> ReadLaneAsync(string lane, long after, long until, Action<string, LoggedEvent, long> each, CancellationToken cancellationToken)
    {
        while (after < until)
        {
            var page = await system.GetAsync(service, $"event-log/{lane}?after={after}&limit={PageSize}", cancellationToken);
            var next = page.GetProperty("next").GetInt64();
            foreach (var logged in page.GetProperty("events").EnumerateArray())
                each(logged.GetProperty("stream").GetString()!, LoggedEvent.Of(logged), next);
            if (next <= after)
                throw new AuditException($"{service} says that lane {lane} is settled up to {until}, and gives nothing after {after}.");
            after = next;
        }

        return after;
    }
}
