using Dapr.Client;
using DaprOrders.EventSourcing.Consuming;

namespace DaprOrders.EventSourcing.Projections;

/// <summary>The event logs of other services, lane by lane: what aggregates and rebuilds read.</summary>
public interface IPublisherLogs
{
    Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken);

    /// <summary>
    /// The events after a position: whole commits, until <paramref name="limit"/> events are reached. With limit 1 the events of one commit.
    /// </summary>
    Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken);
}

/// <summary>Asks the publishers by Dapr invocation: <c>GET /event-log</c>, <c>GET /event-log/{lane}</c>.</summary>
internal sealed class InvokedPublisherLogs(DaprClient dapr) : IPublisherLogs, IDisposable
{
    private readonly HttpClient _http = dapr.CreateInvokableHttpClient();

    public async Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken) =>
        (await _http.GetJsonAsync<LogLanes>($"http://{publisher}/event-log", cancellationToken)).Lanes;

    public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        _http.GetJsonAsync<LogPage>($"http://{publisher}/event-log/{Uri.EscapeDataString(lane)}?after={after}&limit={limit}", cancellationToken);

    public void Dispose() => _http.Dispose();
}
