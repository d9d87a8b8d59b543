using System.Runtime.InteropServices;
using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>A dead letter with other data.</summary>
/// <param name="Event">For the handler: at the place of the original in its stream, under an id of its own.</param>
/// <param name="Original">The CloudEvent as it came.</param>
/// <param name="Message">For the record: the original's CloudEvent, unsigned, with what is another.</param>
internal sealed record EditedLetter(Topic Topic, IncomingEvent Event, JsonElement Original, JsonElement Message);

/// <summary>
/// What an operator may make of a dead letter: its event with other data, and nothing else of it another. It stays at its place in its stream, so
/// the original counts as handled with it. Of what is not proven to be the publisher's nothing is taken, or a forgery would be handled with an
/// operator's help.
/// </summary>
internal sealed class LetterEdits(TopicRegistry topics, EventStoreOptions? store = null)
{
    private readonly int _mostBytes = (store ?? new EventStoreOptions()).MaxEventBytes;

    /// <summary>No event's: names of streams have no ~.</summary>
    public static string IdOf(string eventId, string actId) => $"{eventId}~{actId}";

    /// <param name="message">The letter's.</param>
    /// <param name="actId">Of the act that this is.</param>
    /// <returns>The letter as it is to be handled, or why it cannot be.</returns>
    public (EditedLetter? Edited, ProblemHttpResult? Refusal) Edit(DeadLetter letter, JsonElement message, JsonElement data, string actId, string? by)
    {
        if (JsonMarshal.GetRawUtf8Value(data).Length is var bytes && bytes > _mostBytes)
            return (null, Problems.Of(StatusCodes.Status413PayloadTooLarge, "too-large", $"The data has {bytes} bytes; an event has at most {_mostBytes}."));
        if (topics.Find(letter.Topic) is not { } topic)
            return NotEditable($"The message names the topic '{letter.Topic}'; this service handles {string.Join(", ", topics.Subscribed)}.");
        if (topics.IsWakeUp(topic))
            return NotEditable($"This service reads the event log of {topic.Publisher}: what a message says is nothing to it. Redrive it, and the log is read again.");

        try
        {
            var original = topic.ReadGenuine(message);
            // As text: to compare numbers by value can fail for one with an exponent beyond all bounds.
            if (JsonSerializer.Serialize(original.Data) == JsonSerializer.Serialize(data))
                return (null, new FieldErrors().Add("data", "Expected other data than the message has; redrive it if nothing is to be another.").ToProblem());

            var edited = topic.Read(original with { Data = data, CausationId = original.Id }) with { Id = IdOf(original.Id, actId), Outcome = new EventOutcome() };
            if (!edited.IsKnown)
                return NotEditable($"The event type '{original.Type}' is not known here; upgrade this service first.");
            return topic.OtherIdentity(original, edited) is { Any: true } errors
                ? (null, errors.ToProblem())
                : (new EditedLetter(topic, edited, message, MessageOf(message, edited, by)), null);
        }
        catch (UnreadableEventException exception)
        {
            return NotEditable($"It is not proven to be an event of {topic.Publisher}: {exception.Message}");
        }
        catch (UnknownEventException exception)
        {
            return exception.InnerException is JsonException json
                ? (null, ExceptionsToProblems.FieldErrorsOf(json, "data").ToProblem())
                : NotEditable(exception.Message);
        }
    }

    private static JsonElement MessageOf(JsonElement original, IncomingEvent edited, string? by)
    {
        var message = new Dictionary<string, object?>();
        foreach (var member in original.EnumerateObject())
            message[member.Name] = member.Value;
        message.Remove(EventSigning.Attribute);
        message["id"] = edited.Id;
        message["causationid"] = edited.Recorded.CausationId;
        message["editedby"] = by;
        message["data"] = edited.Recorded.Data;
        return JsonSerializer.SerializeToElement(message);
    }

    private static (EditedLetter?, ProblemHttpResult) NotEditable(string why) => (null, Problems.Conflict("not-editable", $"This message cannot be edited. {why}"));
}
