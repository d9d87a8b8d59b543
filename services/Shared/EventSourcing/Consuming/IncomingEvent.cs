namespace DaprOrders.EventSourcing;

/// <summary>An event that another service published, as a topic delivered it or as it was fetched from the publisher.</summary>
/// <param name="Publisher">The app id of the publishing service (the CloudEvent's source).</param>
/// <param name="Payload">The decoded payload.</param>
public sealed record IncomingEvent(string Publisher, RecordedEvent Recorded, object Payload);
