using Dapr.Client;

namespace DaprOrders.EventSourcing.Consuming;

/// <summary>Asks the publisher by Dapr invocation: <c>GET /event-log/streams/{stream}</c>.</summary>
internal sealed class InvokedPublisherStreams(DaprClient dapr) : IPublisherStreams, IDisposable
{
    private readonly HttpClient _http = Invocation.CreateClient(dapr);

    public async Task<IReadOnlyList<RecordedEvent>> ReadAsync(
        string publisher, string stream, long after, int limit, CancellationToken cancellationToken) => StreamName.IsValid(stream)
        ? await _http.GetJsonAsync<IReadOnlyList<RecordedEvent>>(
            $"http://{publisher}/event-log/streams/{stream}?after={after}&limit={limit}", cancellationToken)
        // The name is from a message, and becomes a part of a path.
        : throw new UnknownEventException($"{publisher} cannot be asked for '{stream}': expected {StreamName.Expected}.");

    public void Dispose() => _http.Dispose();
}
