using System.Net.Http.Json;
using Dapr.Client;

namespace DaprOrders.EventSourcing.Consuming;

/// <summary>Asks the publisher by Dapr invocation: <c>GET /event-log/streams/{stream}</c>.</summary>
internal sealed class InvokedPublisherStreams(DaprClient dapr) : IPublisherStreams, IDisposable
{
    private readonly HttpClient _http = dapr.CreateInvokableHttpClient();

    public async Task<IReadOnlyList<RecordedEvent>> ReadAsync(
        string publisher, string stream, long after, int limit, CancellationToken cancellationToken)
    {
        var uri = new Uri($"http://{publisher}/event-log/streams/{stream}?after={after}&limit={limit}");
        return await _http.GetFromJsonAsync<IReadOnlyList<RecordedEvent>>(uri, EventTypes.Json, cancellationToken)
            ?? throw new HttpRequestException($"{uri} answered null.");
    }

    public void Dispose() => _http.Dispose();
}
