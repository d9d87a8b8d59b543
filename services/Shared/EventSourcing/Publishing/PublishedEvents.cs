using System.Text.Json;
using DaprOrders.EventSourcing.Publishing;

namespace DaprOrders.EventSourcing;

public static class PublishedEvents
{
    /// <summary>An event of a log as its topic would have delivered it: the CloudEvent with the attribute <c>topic</c>, as Dapr adds it.</summary>
    public static JsonElement ToCloudEvent(string publisher, string topic, RecordedEvent recorded, EventSigning signing)
    {
        var cloudEvent = JsonSerializer.SerializeToNode(new PublishedEvent(publisher, recorded, signing.Sign(publisher, recorded)))!;
        cloudEvent["topic"] = topic;
        return cloudEvent.Deserialize<JsonElement>();
    }
}
