using System.Text.Json;
using System.Text.Json.Serialization;
using DaprOrders.Console.Calling;
using DaprOrders.Console.Shell;

namespace DaprOrders.Console.OrderStory;

/// <summary>An event of one of the streams that belong to an order, and how it fared on its way to the others.</summary>
/// <param name="Service">Whose stream it is.</param>
/// <param name="CauseId">The event that led to it, or, where that is none of these, the one before it in its stream; null for the first.</param>
/// <param name="Hop">Since then.</param>
/// <param name="OrderVersion">Of the order's own stream, up to and with this event.</param>
public sealed record StoryEvent(RecordedEvent Event, string Service, string Part, string? CauseId, TimeSpan? Hop, long OrderVersion)
{
    /// <summary>What other services could not handle at the first attempt.</summary>
    public IReadOnlyList<StoryFailure> Failed { get; init; } = [];

    /// <summary>The broker refuses it; null: it does not.</summary>
    public ParkedEvent? Parked { get; init; }

    /// <summary>What went wrong on its way, in a few words each.</summary>
    [JsonIgnore]
    public IEnumerable<string> Troubles => [.. Parked is null ? [] : new[] { "parked: not published" }, .. Failed.Select(failed => failed.InWords)];

    /// <summary>How its cause came to its service, in words; null where it came by its topic, or nothing is known of it.</summary>
    public string? FoundBy => Event.FoundBy switch
    {
        null => null,
        "catchUp" => "found by the catch-up",
        "gap" => "asked for, as a later one came",
        var other => $"found by {Words.Plain(other)}",
    };

    /// <summary>Its cause was a dead letter that an operator has edited; null: it was not.</summary>
    public string? EditId => Event.CausationId is { } cause && cause.Contains('~', StringComparison.Ordinal) ? cause : null;

    /// <summary>Where that is on record: in the service that has handled the edit.</summary>
    [JsonIgnore]
    public string? EditPage => EditId is { } edit ? $"/dead-letters/{Service}/acts/{edit[(edit.LastIndexOf('~') + 1)..]}" : null;
}

/// <param name="Now">Null while Ordering cannot be asked: the others tell of the order what they know.</param>
/// <param name="States">The order after each version of its stream, as Ordering shows it; the first one is at 0.</param>
/// <param name="Failed">What services could not handle of this order at the first attempt.</param>
/// <param name="Failures">What could not be asked.</param>
/// <param name="Awaited">The service that moves it on, where that says that it is not well.</param>
public sealed record Story(
    OrderNow? Now,
    IReadOnlyList<StoryEvent> Events,
    IReadOnlyList<JsonElement> States,
    IReadOnlyList<StoryFailure> Failed,
    IReadOnlyList<Failure> Failures,
    AwaitedService? Awaited = null)
{
    /// <summary>What nobody tries any more.</summary>
    [JsonIgnore]
    public IEnumerable<StoryFailure> Letters => Failed.Where(failed => failed.Event.DeadLetterId is not null);

    public bool MayBeCancelled => Now is not null && !OrderStatuses.IsOver(Now.Status);

    public string? TraceId => Events.Select(e => e.Event.CorrelationId).OfType<string>().FirstOrDefault();

    /// <summary>What an event of this order is; its id where its stream could not be read.</summary>
    public string NameOf(string eventId) => Events.FirstOrDefault(e => e.Event.Id == eventId)?.Event.Type ?? eventId;

    /// <summary>What is shown of the order's state that was otherwise before the event.</summary>
    public IReadOnlyList<Change> ChangesAt(int step)
    {
        var after = StateAt(step);
        var before = step == 0 ? null : StateAt(step - 1);
        if (after is null || after.Value.GetRawText() == before?.GetRawText())
            return [];
        var former = before is { } known ? Fields(known).ToDictionary(field => field.Name, field => field.Text) : [];
        var now = Fields(after.Value).ToList();
        return
        [
            .. now.Where(field => former.GetValueOrDefault(field.Name, "") != field.Text).Select(field => new Change(field.Name, former.GetValueOrDefault(field.Name, ""), field.Text)),
            .. former.Where(field => field.Value.Length > 0 && now.All(present => present.Name != field.Key)).Select(field => new Change(field.Key, field.Value, "")),
        ];
    }

    /// <summary>Null before there was an order.</summary>
    public JsonElement? StateAt(int step) => Events[step].OrderVersion is > 0 and var version && version <= States.Count ? States[(int)version - 1] : null;

    /// <summary>What a state is made of: parts of parts by their names, nothing as an empty text.</summary>
    private static IEnumerable<(string Name, string Text)> Fields(JsonElement state, string within = "") => state.EnumerateObject().SelectMany(field => field.Value.ValueKind switch
    {
        JsonValueKind.Object => Fields(field.Value, $"{within}{field.Name}."),
        JsonValueKind.Null => [($"{within}{field.Name}", "")],
        // A list's entries: what is in them is what there is to say.
        JsonValueKind.Array => field.Value.EnumerateArray().SelectMany((entry, i) =>
            entry.ValueKind == JsonValueKind.Object ? Fields(entry, $"{within}{field.Name} {i + 1}.") : [($"{within}{field.Name} {i + 1}", entry.ToString())]),
        _ => [($"{within}{field.Name}", field.Value.ToString())],
    });

    /// <summary>Tells of each event what went wrong on its way.</summary>
    public static IReadOnlyList<StoryEvent> WithTroubles(IReadOnlyList<StoryEvent> events, IReadOnlyList<StoryFailure> failed, IReadOnlyList<ParkedEvent> parked) =>
    [
        .. events.Select(e => e with
        {
            Failed = [.. failed.Where(failure => failure.Event.EventId == e.Event.Id).Select(failure => failure with
            {
                IsFollowed = events.Any(next => next.Service == failure.Service && CauseOf(next.Event) == e.Event.Id),
            })],
            Parked = parked.FirstOrDefault(one => one.Id == e.Event.Id),
        }),
    ];

    /// <summary>In the order in which they happened; what has a cause comes after it, whatever clocks say.</summary>
    public static IReadOnlyList<StoryEvent> Arrange(IEnumerable<(string Service, string Part, RecordedEvent Event)> events)
    {
        var all = events.OrderBy(found => found.Event.OccurredAt).ThenBy(found => found.Event.Version).ToList();
        var byId = all.ToDictionary(found => found.Event.Id, found => found.Event);
        var arranged = new List<StoryEvent>();
        var version = 0L;
        while (all.Count > 0)
        {
            var next = all.FindIndex(found => CauseOf(found.Event) is not { } cause || all.All(other => other.Event.Id != cause));
            var (service, part, e) = all[Math.Max(0, next)];
            all.RemoveAt(Math.Max(0, next));
            if (part == StoryReader.Order)
                version = e.Version;
            var cause = byId.GetValueOrDefault(CauseOf(e) ?? "") ?? byId.GetValueOrDefault($"{e.Stream}:{e.Version - 1}");
            arranged.Add(new(e, service, part, cause?.Id, e.OccurredAt - cause?.OccurredAt, version));
        }

        return arranged;
    }

    /// <summary>An edit of an event is named by the event's id and, behind ~, its own.</summary>
    private static string? CauseOf(RecordedEvent e) => e.CausationId?.Split('~')[0];
}

public sealed record Change(string Field, string Before, string After);

public sealed record AwaitedService(string Service, string Status, string Reasons);

/// <param name="Service">That could not handle it.</param>
/// <param name="IsFollowed">That service has gone on from it, so it was handled after all.</param>
public sealed record StoryFailure(string Service, FailedEvent Event, bool IsFollowed = false)
{
    [JsonIgnore]
    public bool IsOver => Event.Outcome is "handled" or "passed" || (Event.Outcome == "open" && IsFollowed);

    /// <summary>How often, where, and what came of it.</summary>
    [JsonIgnore]
    public string InWords => Event switch
    {
        { Outcome: "deadLetter" } => $"{Service}: dead letter after {Words.Count(Event.Attempts, "attempt")}",
        { Outcome: "givenUp" } => $"{Service}: given up after {Words.Count(Event.Attempts, "attempt")}",
        // By another instance, or it was overtaken: whether something came of it, the streams say.
        { Outcome: "passed" } when !IsFollowed => $"{Service}: {Words.Count(Event.Attempts, "attempt")} failed, and it has gone on",
        _ when IsOver => $"{Service}: handled after {Words.Count(Event.Attempts, "attempt")} that failed",
        _ => $"{Service}: {Words.Count(Event.Attempts, "attempt")} failed",
    };
}
