using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.DeadLetters;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Topics;

public static class TopicEndpoints
{
    /// <summary>
    /// POST /events/{topic}: takes one CloudEvent or a bulk envelope. Streams are handled in parallel, the events of one in order of
    /// version, duplicates within a delivery once. A handler that throws has these entries delivered again;
    /// <see cref="UnknownEventException"/>, and what cannot be read, goes to the dead letters. Events of types that are not registered are
    /// not handed over: they are acknowledged, and told.
    /// </summary>
    /// <param name="publisher">The app id of the only service that publishes on this topic; what names another source goes to the dead letters.</param>
    /// <param name="handle">Gets the events of one source stream, in order of version, at least once.</param>
    public static IEndpointConventionBuilder MapTopic(
        this WebApplication app, string topic, string publisher, Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle) =>
        app.MapTopic(topic, publisher, new StreamByStream(handle));

    /// <summary>
    /// POST /events/{topic} for each topic, for consumers that want batches: what is in flight at once, over all these topics, is handled
    /// as one. There is no timer: a batch is what arrived while the last one was at work. When a batch fails, it is tried stream by
    /// stream, so that one bad stream never fails its neighbours.
    /// </summary>
    /// <param name="handle">Gets events of any source streams, those of one in order of version, each at least once.</param>
    public static void MapTopicsInBatches(
        this WebApplication app, IEnumerable<(string Topic, string Publisher)> topics, Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle)
    {
        var batches = new Batches(handle, app.Lifetime.ApplicationStopping);
        foreach (var (topic, publisher) in topics)
            app.MapTopic(topic, publisher, batches);
    }

    private static IEndpointConventionBuilder MapTopic(this WebApplication app, string name, string publisher, IHandling handling)
    {
        var topic = new Topic(
            name,
            publisher,
            handling,
            app.Services.GetRequiredService<EventTypes>(),
            app.Services.GetRequiredService<EventSigning>(),
            app.Services.GetRequiredService<UnknownTypes>(),
            app.Services.GetRequiredService<FailureLog>(),
            app.Services.GetRequiredService<ILoggerFactory>().CreateLogger<Topic>());
        app.Services.GetRequiredService<TopicRegistry>().Add(topic);
        // A bulk delivery of large events is larger than Kestrel's limit; the sidecar bounds it by its number of entries.
        return app.MapPost($"/events/{name}", (HttpContext context) => ReceiveAsync(context, topic.DeliverAsync))
            .WithMetadata(new DisableRequestSizeLimitAttribute())
            .ExcludeFromDescription();
    }

    /// <summary>Answers as Dapr expects: a status for the one event, or one per entry.</summary>
    internal static async Task ReceiveAsync(
        HttpContext context, Func<IReadOnlyList<JsonElement>, CancellationToken, Task<IReadOnlyList<DeliveryStatus>>> deliver)
    {
        var delivery = await Delivery.ReadAsync(context.Request.Body, context.RequestAborted);
        var statuses = await deliver([.. delivery.Events.Select(delivered => delivered.CloudEvent)], context.RequestAborted);

        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        if (delivery.IsBulk)
        {
            json.WriteStartArray("statuses");
            for (var i = 0; i < statuses.Count; i++)
            {
                json.WriteStartObject();
                json.WriteString("entryId", delivery.Events[i].EntryId);
                json.WriteString("status", Word(statuses[i]));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
        else
        {
            json.WriteString("status", Word(statuses[0]));
        }

        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }

    private static string Word(DeliveryStatus status) => status switch
    {
        DeliveryStatus.Success => "SUCCESS",
        DeliveryStatus.Retry => "RETRY",
        _ => "DROP",
    };
}

/// <summary>Dapr's answers to a delivery. A dropped event is copied to the dead-letter topic.</summary>
internal enum DeliveryStatus
{
    Success,
    Retry,
    Drop,
}

/// <summary>The topics that this service handles: for readiness and for dead letters that are sent through again.</summary>
internal sealed class TopicRegistry
{
    private readonly Dictionary<string, Topic> _topics = [];

    public IReadOnlyCollection<string> Names => _topics.Keys;

    public void Add(Topic topic) => _topics.Add(topic.Name, topic);

    public Topic? Find(string? name) => name is null ? null : _topics.GetValueOrDefault(name);
}
