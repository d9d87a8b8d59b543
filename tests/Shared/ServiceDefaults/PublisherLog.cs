using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using DaprOrders.EventSourcing;

namespace DaprOrders.ServiceDefaults.Tests;

/// <summary>A publisher with one lane, <c>0</c>: what it has committed, and what it was asked.</summary>
internal sealed class PublisherLog : IPublisherLogs
{
    private readonly Lock _lock = new();
    private readonly List<LogEntry> _entries = [];
    private readonly List<RecordedEvent> _events = [];

    public bool IsAway { get; set; }

    /// <summary>Streams of which something is lost in the publisher's store: whoever asks for one of them is answered 500.</summary>
    public HashSet<string> Torn { get; } = [];

    /// <summary>How often each call was made.</summary>
    public ConcurrentDictionary<string, int> Calls { get; } = new();

    /// <summary>Commits the next event of a stream, and answers it.</summary>
    public RecordedEvent Commit(string stream, string? topic = "letters", string type = nameof(LetterSent))
    {
        lock (_lock)
        {
            var version = _events.Count(e => e.Stream == stream) + 1;
            var recorded = new RecordedEvent(
                stream, version, type, 1, DateTimeOffset.UnixEpoch, null, null, JsonSerializer.SerializeToElement(new { id = stream, to = "Ann" }));
            _events.Add(recorded);
            _entries.Add(new LogEntry(stream, version, version, topic, _entries.Count + 1));
            return recorded;
        }
    }

    /// <summary>A commit that is named in the log and failed.</summary>
    public void Fail(string stream, long version)
    {
        lock (_lock)
            _entries.Add(new LogEntry(stream, version, version, "letters", _entries.Count + 1));
    }

    public Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken) =>
        AnswerAsync<IReadOnlyList<LogLane>>("lanes", () => [new LogLane("0", _entries.Count)]);

    public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        throw new NotSupportedException("The catch-up reads entries.");

    public Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        AnswerAsync("entries", () =>
        {
            LogEntry[] page = [.. _entries.Skip((int)after).Take(limit)];
            return new LogEntries(page, after + page.Length, _entries.Count);
        });

    // Refuses what the endpoint refuses.
    public Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) =>
        ranges.Count is < 1 or > 200 || ranges.Any(range => range.UpTo - range.After is < 1 or > 1000) ? Refused<StreamEvents>(HttpStatusCode.BadRequest)
        : ranges.Any(range => Torn.Contains(range.Stream)) ? Refused<StreamEvents>(HttpStatusCode.InternalServerError)
        : AnswerAsync("streams", () => new StreamEvents(
            [.. ranges.SelectMany(range => _events.Where(e => e.Stream == range.Stream && e.Version > range.After && e.Version <= range.UpTo))], ranges.Count));

    private static Task<T> Refused<T>(HttpStatusCode status) => Task.FromException<T>(new HttpRequestException($"post answered {status}.", null, status));

    private Task<T> AnswerAsync<T>(string call, Func<T> answer)
    {
        Calls.AddOrUpdate(call, 1, (_, former) => former + 1);
        lock (_lock)
            return IsAway ? Task.FromException<T>(new HttpRequestException("post does not answer.")) : Task.FromResult(answer());
    }
}
