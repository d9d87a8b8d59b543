using Dapr.Client;

namespace DaprOrders.EventSourcing.Consuming;

/// <summary>Asks the publishers by Dapr invocation: <c>GET /event-log</c> and what is below it.</summary>
internal sealed class InvokedPublisherLogs(DaprClient dapr) : IPublisherLogs, IDisposable
{
    private readonly HttpClient _http = Invocation.CreateClient(dapr);

    public async Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken) =>
        (await _http.GetJsonAsync<LogLanes>($"http://{publisher}/event-log", cancellationToken)).Lanes;

    public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        _http.GetJsonAsync<LogPage>($"{LaneOf(publisher, lane)}?after={after}&limit={limit}", cancellationToken);

    public Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        _http.GetJsonAsync<LogEntries>($"{LaneOf(publisher, lane)}/entries?after={after}&limit={limit}", cancellationToken);

    public async Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://{publisher}/event-log/streams"))
        {
            Content = JsonBody.Of(new StreamRanges(ranges), EventTypes.Json),
        };
        return await _http.SendJsonAsync<StreamEvents>(request, cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private static string LaneOf(string publisher, string lane) => $"http://{publisher}/event-log/{Uri.EscapeDataString(lane)}";
}
