using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Reporting.Tests;

/// <summary>What the publishers have committed: their streams, and their logs lane by lane.</summary>
internal sealed class Journal : IPublisherStreams, IPublisherLogs
{
    private readonly Lock _lock = new();
    private readonly List<(string Publisher, string Lane, IReadOnlyList<IncomingEvent> Events)> _commits = [];
    private readonly Dictionary<string, long> _versions = [];
    private readonly Dictionary<string, string> _names = [];

    public static EventTypes Types { get; } =
        new EventTypes().AddFamily<OrderEvent>().AddFamily<ReservationEvent>().AddFamily<PaymentEvent>().AddFamily<ShipmentEvent>();

    /// <summary>The time of the next events.</summary>
    public DateTimeOffset Now { get; set; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Streams that consumers asked for.</summary>
    public List<string> Asked { get; } = [];

    /// <summary>How often what a lane holds was asked for.</summary>
    public int EntriesRead { get; private set; }

    /// <summary>Publishers that do not answer.</summary>
    public HashSet<string> Away { get; } = [];

    /// <summary>How a publisher that is away is noticed.</summary>
    public Exception AwayBy { get; set; } = new HttpRequestException("Nobody answers.");

    public IReadOnlyList<IncomingEvent> All
    {
        get
        {
            lock (_lock)
                return [.. _commits.SelectMany(commit => commit.Events)];
        }
    }

    /// <summary>One commit of one lane.</summary>
    public IReadOnlyList<IncomingEvent> Commit(string lane, params object[] payloads)
    {
        lock (_lock)
        {
            var publisher = Of(payloads[0]).Publisher;
            var events = payloads.Select(payload => Record(publisher, Of(payload).Stream, payload)).ToList();
            _commits.Add((publisher, lane, events));
            return events;
        }
    }

    /// <summary>From now on these events are published under another type's name.</summary>
    public void Rename(string type, string name) => _names[type] = name;

    /// <summary>A commit of a lane that has nothing to do with orders.</summary>
    public void CommitForeign(string publisher, string lane)
    {
        lock (_lock)
        {
            var stream = $"stock-{_commits.Count}";
            var recorded = new RecordedEvent(stream, 1, "StockReceived", 1, Now, null, null, JsonSerializer.SerializeToElement(new { quantity = 5 }));
            _commits.Add((publisher, lane, [new IncomingEvent(publisher, recorded, new object())]));
        }
    }

    public Task<IReadOnlyList<RecordedEvent>> ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Asked.Add(stream);
            return Task.FromResult<IReadOnlyList<RecordedEvent>>([.. All
                .Where(incoming => incoming.Publisher == publisher && incoming.Recorded.Stream == stream && incoming.Recorded.Version > after)
                .Take(limit)
                .Select(incoming => incoming.Recorded)]);
        }
    }

    public Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (Away.Contains(publisher))
                throw AwayBy;
            return Task.FromResult<IReadOnlyList<LogLane>>(
                [.. _commits.Where(commit => commit.Publisher == publisher).GroupBy(commit => commit.Lane).Select(lane => new LogLane(lane.Key, lane.Count()))]);
        }
    }

    public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var events = new List<RecordedEvent>();
            var next = after;
            foreach (var commit in _commits.Where(commit => commit.Publisher == publisher && commit.Lane == lane).Skip((int)after))
            {
                if (events.Count >= limit)
                    break;
                events.AddRange(commit.Events.Select(incoming => incoming.Recorded));
                next++;
            }

            return Task.FromResult(new LogPage(events, next, _commits.Count(commit => commit.Publisher == publisher && commit.Lane == lane)));
        }
    }

    public Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            EntriesRead++;
            var commits = _commits.Where(commit => commit.Publisher == publisher && commit.Lane == lane).ToList();
            var entries = new List<LogEntry>();
            var next = after;
            for (; next < commits.Count && entries.Count < limit; next++)
            {
                entries.AddRange(commits[(int)next].Events.GroupBy(incoming => incoming.Recorded.Stream).Select(stream => new LogEntry(
                    stream.Key, stream.Min(e => e.Recorded.Version), stream.Max(e => e.Recorded.Version), "orders", next + 1)));
            }

            return Task.FromResult(new LogEntries(entries, next, commits.Count));
        }
    }

    public Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) =>
        throw new NotSupportedException("Reports read the events themselves.");

    public static OrderCreated Created(string orderId, string customerId = "c-1", int quantity = 2, decimal price = 9.50m, string sku = "tea-001") => new(
        orderId, customerId, "pm_card_ok", [new OrderLine(sku, "Green tea", quantity, new Money(price, "EUR"))], new Money(quantity * price, "EUR"), null);

    private IncomingEvent Record(string publisher, string stream, object payload)
    {
        var version = _versions[stream] = _versions.GetValueOrDefault(stream) + 1;
        var recorded = new RecordedEvent(
            stream, version, _names.GetValueOrDefault(payload.GetType().Name, payload.GetType().Name), 1, Now, null, null, JsonSerializer.SerializeToElement(payload, payload.GetType(), EventTypes.Json));
        return new IncomingEvent(publisher, recorded, payload);
    }

    private static (string Publisher, string Stream) Of(object payload) => payload switch
    {
        OrderEvent e => ("ordering", $"order-{e.OrderId}"),
        ReservationEvent e => ("inventory", $"reservation-{e.OrderId}"),
        PaymentEvent e => ("payments", $"payment-{e.OrderId}"),
        ShipmentEvent e => ("shipping", $"shipment-{e.OrderId}"),
        _ => throw new ArgumentException($"{payload.GetType()} is no published event.", nameof(payload)),
    };
}
