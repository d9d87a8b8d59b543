using Dapr.Client;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>Bulk publication over gRPC (over HTTP daprd cuts a body at 4 MiB and publishes the rest).</summary>
internal sealed class DaprEventPublisher(DaprClient dapr, EventStoreOptions options, EventSigning signing) : IEventPublisher
{
    public async Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        PublishedEvent[] published = [.. events.Select(recorded => new PublishedEvent(options.AppId, recorded, signing.Sign(options.AppId, recorded)))];
        var answer = await dapr.BulkPublishEventAsync(options.PubSub, topic, published, cancellationToken: cancellationToken);
        if (answer.FailedEntries.Count > 0)
        {
            throw new InvalidOperationException(
                $"{answer.FailedEntries.Count} of {events.Count} events were not published to {topic}: {answer.FailedEntries[0].ErrorMessage}");
        }
    }
}
