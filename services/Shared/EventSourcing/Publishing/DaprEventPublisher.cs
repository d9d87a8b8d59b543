using System.Runtime.InteropServices;
using Dapr.Client;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>Bulk publication over gRPC (over HTTP daprd cuts a body at 4 MiB and publishes the rest).</summary>
internal sealed class DaprEventPublisher(DaprClient dapr, EventStoreOptions options) : IEventPublisher
{
    private const int EventsPerCall = 200;
    private const int BytesPerCall = 2 * 1024 * 1024;

    public async Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        var call = new List<PublishedEvent>(Math.Min(events.Count, EventsPerCall));
        var bytes = 0;
        foreach (var recorded in events)
        {
            var size = JsonMarshal.GetRawUtf8Value(recorded.Data).Length;
            if (call.Count == EventsPerCall || (call.Count > 0 && bytes + size > BytesPerCall))
            {
                await PublishAsync(topic, call, cancellationToken);
                call = [];
                bytes = 0;
            }

            call.Add(new PublishedEvent(options.AppId, recorded));
            bytes += size;
        }

        if (call.Count > 0)
        {
            await PublishAsync(topic, call, cancellationToken);
        }
    }

    private async Task PublishAsync(string topic, List<PublishedEvent> events, CancellationToken cancellationToken)
    {
        var answer = await dapr.BulkPublishEventAsync(options.PubSub, topic, events, cancellationToken: cancellationToken);
        if (answer.FailedEntries.Count > 0)
        {
            throw new InvalidOperationException(
                $"{answer.FailedEntries.Count} of {events.Count} events were not published to {topic}: {answer.FailedEntries[0].ErrorMessage}");
        }
    }
}
