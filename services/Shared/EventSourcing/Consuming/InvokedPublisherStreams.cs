using Dapr.Client;

namespace DaprOrders.EventSourcing.Consuming;

/// <summary>Asks the publisher by Dapr invocation: <c>GET /event-log/streams/{stream}</c>.</summary>
internal sealed class InvokedPublisherStreams(DaprClient dapr) : IPublisherStreams, IDisposable
{
    private readonly HttpClient _http = dapr.CreateInvokableHttpClient();

    public async Task<IReadOnlyList<RecordedEvent>> ReadAsync(
        string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
        await _http.GetJsonAsync<IReadOnlyList<RecordedEvent>>(
            $"http://{publisher}/event-log/streams/{stream}?after={after}&limit={limit}", cancellationToken);

    public void Dispose() => _http.Dispose();
}
