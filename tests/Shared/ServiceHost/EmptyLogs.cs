using DaprOrders.EventSourcing;

namespace DaprOrders.Tests;

/// <summary>Publishers that have committed nothing: the catch-up has tests of its own.</summary>
internal sealed class EmptyLogs : IPublisherLogs
{
    public Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<LogLane>>([]);

    public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        Task.FromResult(new LogPage([], after, after));

    public Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        Task.FromResult(new LogEntries([], after, after));

    public Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) =>
        Task.FromResult(new StreamEvents([], ranges.Count));
}
