using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

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
    /// <param name="withoutEffect">Types of events that change nothing here: they are acknowledged without being decoded or handed over.</param>
    public static IEndpointConventionBuilder MapTopic(
        this WebApplication app,
        string topic,
        string publisher,
        Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle,
        params IReadOnlyCollection<Type> withoutEffect)
    {
        var mapped = app.CreateTopic(topic, publisher, handle, withoutEffect);
        app.Services.GetRequiredService<TopicRegistry>().Add(mapped, isFollowed: true);
        return app.MapDeliveries(topic, mapped.DeliverAsync);
    }

    /// <summary>
    /// POST /events/{topic} for a consumer that reads the publisher's event log by itself: a delivery only tells it that there is something to
    /// read. What was delivered is not decoded, and acknowledged at once: the log has it.
    /// </summary>
    /// <param name="wake">Must not wait.</param>
    /// <param name="redrive">What is done about an event that became a dead letter while the log was read.</param>
    public static IEndpointConventionBuilder MapWakeUp(
        this WebApplication app, string topic, string publisher, Action wake, Func<CancellationToken, Task> redrive)
    {
        app.Services.GetRequiredService<TopicRegistry>().Add(
            app.CreateTopic(topic, publisher, (_, cancellationToken) => redrive(cancellationToken)), isFollowed: false);
        return app.MapDeliveries(topic, Wake);

        Task<IReadOnlyList<DeliveryStatus>> Wake(IReadOnlyList<JsonElement> messages, CancellationToken cancellationToken)
        {
            wake();
            var statuses = new DeliveryStatus[messages.Count];
            DeliveryMetrics.Answered(topic, statuses);
            return Task.FromResult<IReadOnlyList<DeliveryStatus>>(statuses);
        }
    }

    /// <summary>
    /// A topic that the consumer does not subscribe to: it reads the publisher's event log, and is woken otherwise. Only the dead letters are its own that
    /// the reading makes.
    /// </summary>
    /// <inheritdoc cref="MapWakeUp" path="/param[@name='redrive']"/>
    public static void MapReadInLog(this WebApplication app, string topic, string publisher, Func<CancellationToken, Task> redrive) =>
        app.Services.GetRequiredService<TopicRegistry>().Add(
            app.CreateTopic(topic, publisher, (_, cancellationToken) => redrive(cancellationToken)), isFollowed: false, isSubscribed: false);

    private static Topic CreateTopic(
        this WebApplication app,
        string topic,
        string publisher,
        Func<IReadOnlyList<IncomingEvent>, CancellationToken, Task> handle,
        params IReadOnlyCollection<Type> withoutEffect)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        var types = app.Services.GetRequiredService<EventTypes>();
        return new Topic(
            topic,
            publisher,
            handle,
            new HandledEvents(app.Services.GetRequiredService<IOptions<CatchUpOptions>>().Value.BehindAtMost, time),
            types,
            app.Services.GetRequiredService<EventSigning>(),
            app.Services.GetRequiredService<UnknownTypes>(),
            app.Services.GetRequiredService<FailureLog>(),
            time,
            app.Services.GetRequiredService<ILoggerFactory>().CreateLogger<Topic>(),
            withoutEffect.Select(types.NameOf).ToHashSet());
    }

    private static IEndpointConventionBuilder MapDeliveries(
        this WebApplication app, string topic, Func<IReadOnlyList<JsonElement>, CancellationToken, Task<IReadOnlyList<DeliveryStatus>>> deliver)
    {
        return app.MapPost($"/events/{topic}", ReceiveAsync)
            // A bulk delivery of large events is larger than Kestrel's limit; the sidecar bounds it by its number of entries.
            .WithMetadata(new DisableRequestSizeLimitAttribute())
            .ExcludeFromDescription();

        Task ReceiveAsync(HttpContext context) => TopicEndpoints.ReceiveAsync(context, deliver);
    }

    /// <summary>Answers as Dapr expects: a status for the one event, or one per entry.</summary>
    internal static async Task ReceiveAsync(
        HttpContext context, Func<IReadOnlyList<JsonElement>, CancellationToken, Task<IReadOnlyList<DeliveryStatus>>> deliver)
    {
        var delivery = await Delivery.ReadAsync(context.Request.Body, context.Request.ContentLength, context.RequestAborted);
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

/// <summary>The topics that this service subscribes: for readiness, for the catch-up, and for dead letters that are sent through again.</summary>
internal sealed class TopicRegistry
{
    private readonly Dictionary<string, Topic> _topics = [];
    private readonly List<Topic> _followed = [];
    private readonly List<string> _subscribed = [];

    /// <summary>The names of those that the sidecar is to deliver.</summary>
    public IReadOnlyCollection<string> Subscribed => _subscribed;

    /// <summary>Those that the catch-up looks after.</summary>
    public IReadOnlyList<Topic> Followed => _followed;

    /// <summary>Its deliveries only tell that there is something to read in the publisher's log.</summary>
    public bool IsWakeUp(Topic topic) => !_followed.Contains(topic);

    public void Add(Topic topic, bool isFollowed, bool isSubscribed = true)
    {
        _topics.Add(topic.Name, topic);
        if (isFollowed)
            _followed.Add(topic);
        if (isSubscribed)
            _subscribed.Add(topic.Name);
    }

    public Topic? Find(string? name) => name is null ? null : _topics.GetValueOrDefault(name);
}
