namespace DaprOrders.EventSourcing;

/// <summary>An event that another service published, as a topic delivered it or as it was fetched from the publisher.</summary>
/// <param name="Publisher">The app id of the publishing service (the CloudEvent's source).</param>
/// <param name="Payload">The decoded payload; <see cref="NotKnownHere"/> when this program does not know the type.</param>
/// <param name="FoundBy">Null when its topic brought it; else <see cref="ByCatchUp"/> or <see cref="ByGap"/>. What is committed because of it says so.</param>
public sealed record IncomingEvent(string Publisher, RecordedEvent Recorded, object Payload, string? FoundBy = null)
{
    /// <summary>Read in the publisher's log, after its topic had not brought it in its time.</summary>
    public const string ByCatchUp = "catchUp";

    /// <summary>Asked of the publisher, since a later event of its stream had come without it.</summary>
    public const string ByGap = "gap";

    /// <summary>By which what it causes names it: the event's, or an edit's that an operator has made of it (docs/console.md).</summary>
    public string Id { get; init; } = Recorded.Id;

    /// <summary>Told by the event store what the event came to; null: nobody wants to know.</summary>
    public EventOutcome? Outcome { get; init; }

    /// <summary>False for an event of a type that this program does not know: it says nothing to it.</summary>
    public bool IsKnown => Payload is not NotKnownHere;

    /// <summary>Decodes an event of another service.</summary>
    /// <exception cref="UnknownEventException">The type is known, but the schema version or the payload does not fit.</exception>
    public static IncomingEvent Of(string publisher, RecordedEvent recorded, EventTypes types, string? foundBy = null) =>
        new(publisher, recorded, types.Knows(recorded.Type) ? types.Read(recorded) : NotKnownHere.Instance, foundBy);
}

/// <summary>What an event came to in the stream that takes it.</summary>
public sealed class EventOutcome
{
    /// <summary>False also while nobody has told.</summary>
    public bool IsTold { get; private set; }

    /// <summary>An event of that version, or a later one, had been taken before: this one was not looked at.</summary>
    public bool IsPassedOver { get; private set; }

    /// <summary>Events that it caused; 0 where there was nothing to do any more.</summary>
    public int Caused { get; private set; }

    /// <summary>Told again when it is decided again.</summary>
    public void Tell(bool isPassedOver, int caused) => (IsTold, IsPassedOver, Caused) = (true, isPassedOver, caused);
}

/// <summary>
/// The payload of an event whose type a publisher of a later version has added. Consumers pass it: positions move over it, nothing else
/// happens, and what it says is had later by reading the publisher's log again.
/// </summary>
public sealed record NotKnownHere
{
    private NotKnownHere()
    {
    }

    public static NotKnownHere Instance { get; } = new();
}
