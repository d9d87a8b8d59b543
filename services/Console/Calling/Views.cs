using System.Text.Json;
using System.Text.Json.Serialization;
using DaprOrders.ServiceDefaults.Errors;

namespace DaprOrders.Console.Calling;

// What the services answer, as far as pages show it.

public sealed record Money(decimal Amount, string Currency)
{
    public override string ToString() => FormattableString.Invariant($"{Amount:N2} {Currency}");
}

public sealed record OrderLine(string Sku, string Name, int Quantity, Money UnitPrice);

public sealed record Cancellation(string Reason, string? Detail);

public sealed record StatusSince(string Status, DateTimeOffset At);

/// <summary>An order as Reporting lists it.</summary>
public sealed record ListedOrder(
    string OrderId,
    string CustomerId,
    string Status,
    long Version,
    Money Total,
    IReadOnlyList<OrderLine> Lines,
    Cancellation? Cancellation,
    string? Reservation,
    string? Payment,
    IReadOnlyList<StatusSince> History,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt);

public sealed record OrderPage(IReadOnlyList<ListedOrder> Orders, string? Cursor);

/// <summary>An order as Ordering has it, after the event <c>Version</c>.</summary>
public sealed record OrderNow(
    string OrderId,
    string CustomerId,
    string Status,
    long Version,
    Money Total,
    IReadOnlyList<OrderLine> Lines,
    Cancellation? Cancellation,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt);

public sealed record Summary(long Orders, IReadOnlyDictionary<string, long> ByStatus, long Sold, IReadOnlyList<Money> Revenue);

public sealed record DeadLetter(
    string Id, string? EventId, string? Topic, string? Stream, string? Type, DateTimeOffset ReceivedAt, int Attempts, DateTimeOffset? LastAttemptAt, string Error)
{
    [JsonIgnore]
    public string? OrderPage => PageOf(Stream);

    /// <summary>Streams of orders are named by their id; those of products are not. What a message only says, which may be anybody's, leads nowhere.</summary>
    public static string? PageOf(string? stream) => stream?.Split('-', 2) is ["order" or "reservation" or "payment" or "shipment", var order] && FieldErrors.IsId(order) ? $"/orders/{order}" : null;
}

public sealed record DeadLetterPage(IReadOnlyList<DeadLetter> DeadLetters, string? Cursor);

public sealed record DeadLetterGroup(string Reason, string? Topic, int Count, DateTimeOffset First, DateTimeOffset Last);

/// <param name="Letters">Of this answer, also those of groups that it does not name.</param>
public sealed record DeadLetterCounts(int Letters, IReadOnlyList<DeadLetterGroup> Groups, string? Cursor);

/// <summary>An event that a service could not handle at the first attempt.</summary>
/// <param name="Attempts">Those that failed.</param>
/// <param name="Outcome">deadLetter, handled, givenUp, passed (its service has gone on past it) or open.</param>
/// <param name="DeadLetterId">Where it is one.</param>
public sealed record FailedEvent(
    string EventId,
    string Stream,
    long Version,
    int Attempts,
    DateTimeOffset FirstAt,
    DateTimeOffset LastAt,
    string Error,
    string Outcome,
    DateTimeOffset? EndedAt,
    string? DeadLetterId);

public sealed record FailedEvents(IReadOnlyList<FailedEvent> Failures);

public sealed record DeadLetterDetails(DeadLetter Entry, JsonElement Message);

/// <summary>A redrive of many dead letters, which their service does by itself.</summary>
public sealed record RedriveJob(string Id, string Status, int Handled, int Failed, string? Error)
{
    public bool IsDone => Status == "done";
}

/// <summary>What an operator did about dead letters.</summary>
/// <param name="Letters">How many it was about; null: all that there were.</param>
/// <param name="EditedId">Under which id an edited message was handled.</param>
public sealed record Act(
    string Id,
    string Kind,
    string? By,
    string? Reason,
    DateTimeOffset At,
    string Result,
    int? Letters,
    int Done,
    int Failed,
    string? Error,
    string? EventId,
    string? EditedId,
    string? Type,
    DateTimeOffset? EndedAt = null,
    string? LetterId = null,
    string? Stream = null);

/// <param name="Result">handled, passedOver or withoutEffect.</param>
public sealed record EditedRedrive(string ActId, string Result);

public sealed record ActPage(IReadOnlyList<Act> Acts, string? Cursor);

/// <param name="Original">Of an edit, as the message came, and as it was handled; otherwise null.</param>
public sealed record ActDetails(Act Entry, JsonElement? Original, JsonElement? Edited);

/// <param name="Owner">The instance that adds to it.</param>
/// <param name="State">held, leftBehind, free or closed; null where a service of an earlier version does not tell.</param>
public sealed record Lane(string Name, long Settled, bool IsClosed, string? Owner = null, string? State = null, long? Unpublished = null);

public sealed record Loss(DateTimeOffset NoticedAt, string NoticedBy, DateTimeOffset? DeclaredAt);

public sealed record Lanes([property: JsonPropertyName("lanes")] IReadOnlyList<Lane> All, Loss? Loss);

/// <param name="Topic">What is read of the publisher's log; null where a service of an earlier version does not tell.</param>
public sealed record LanePosition(string Publisher, string Lane, long Position, long Events, string? Topic = null);

public sealed record ProjectionVersion(long Version, DateTimeOffset? Since, long Events, IReadOnlyList<LanePosition> Lanes)
{
    /// <summary>Null: nothing of this publisher was read yet.</summary>
    public string? TopicOf(string publisher) => Lanes.FirstOrDefault(position => position.Publisher == publisher)?.Topic;

    /// <summary>Null: nothing of this lane was read yet.</summary>
    public long? PositionIn(string publisher, string lane) => Lanes.FirstOrDefault(position => position.Publisher == publisher && position.Lane == lane)?.Position;
}

/// <param name="At">Of the last reading that failed.</param>
/// <param name="Since">When the first one failed; null where a service of an earlier version does not tell.</param>
/// <param name="Attempts">How many have failed since, one after the other.</param>
public sealed record ProjectionFailure(string Reason, DateTimeOffset At, DateTimeOffset? Since = null, int? Attempts = null);

public sealed record Projections(ProjectionVersion Serving, ProjectionVersion? Building, ProjectionFailure? Failure);

public sealed record HealthCheck(string Status, string? Reason);

public sealed record Health(string Status, IReadOnlyDictionary<string, HealthCheck>? Checks)
{
    [JsonIgnore]
    public bool IsWell => Status == "Healthy";

    /// <summary>Why it is not well, in the service's words.</summary>
    [JsonIgnore]
    public string Reasons => string.Join(" ", (Checks ?? new Dictionary<string, HealthCheck>()).Values.Select(check => check.Reason).OfType<string>());
}

/// <param name="Lane">Null where it was parked by an earlier version.</param>
public sealed record ParkedEvent(string Id, string Topic, string Reason, DateTimeOffset ParkedAt, string? Lane = null);

public sealed record ParkedEvents(IReadOnlyList<ParkedEvent> Events);

public sealed record FollowedLane(string Lane, long Position);

/// <param name="IsAll">False: there are more.</param>
public sealed record WaitingTopic(string Topic, long Events, bool IsAll);

/// <param name="Waiting">Null: it is not known.</param>
public sealed record FollowedPublisher(string Publisher, IReadOnlyList<string> Topics, IReadOnlyList<FollowedLane> Lanes, IReadOnlyList<WaitingTopic>? Waiting = null);

/// <summary>Up to where a consumer has dealt with the logs of the publishers whose topics it takes.</summary>
public sealed record CatchUp(IReadOnlyList<FollowedPublisher> Publishers);

public sealed record RecordedEvent(
    string Id,
    string Stream,
    long Version,
    string Type,
    int SchemaVersion,
    DateTimeOffset OccurredAt,
    string? CorrelationId,
    string? CausationId,
    JsonElement Data,
    string? FoundBy = null);

public sealed record Product(string Sku, string Name, Money Price, long OnHand, long Reserved, long Available);

public sealed record ProductPage(IReadOnlyList<Product> Products, string? Next);

/// <summary>What an order can be, in the order in which it comes to be so.</summary>
public static class OrderStatuses
{
    public const string Shipped = "shipped";
    public const string Cancelled = "cancelled";

    /// <summary>Something is still to happen.</summary>
    public static IReadOnlyList<string> Open { get; } = ["created", "stockReserved", "paid"];

    public static IReadOnlyList<string> All { get; } = [.. Open, Shipped, Cancelled];

    public static bool IsOver(string status) => status is Shipped or Cancelled;

    /// <summary>Who moves an order on that is so; null when it is over.</summary>
    public static string? WaitsFor(string status) => status switch
    {
        "created" => Apps.Inventory,
        "stockReserved" => Apps.Payments,
        "paid" => Apps.Shipping,
        _ => null,
    };
}

/// <summary>The applications, as Dapr knows them.</summary>
public static class Apps
{
    public const string Ordering = "ordering";
    public const string Inventory = "inventory";
    public const string Payments = "payments";
    public const string Shipping = "shipping";
    public const string Reporting = "reporting";

    /// <summary>In the order in which an order passes them.</summary>
    public static IReadOnlyList<string> All { get; } = [Ordering, Inventory, Payments, Shipping, Reporting];

    /// <summary>Those with an event log.</summary>
    public static IReadOnlyList<string> Publishers { get; } = [Ordering, Inventory, Payments, Shipping];
}
