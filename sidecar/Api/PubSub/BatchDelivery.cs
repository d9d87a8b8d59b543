using System.Buffers;
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using DaprOrders.Sidecar.Components.PubSub;
using DaprOrders.Sidecar.Formats;
using DaprOrders.Sidecar.Hosting;
using DaprOrders.Sidecar.Resiliency;
using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Api.PubSub;

/// <summary>
/// The bulk deliveries of one subscription: a batch is one call per route, answered entry by entry; only the entries that failed are
/// retried, and dead-lettered in the end (pkg/runtime/subscription/bulksubscription.go). Unlike daprd, an event that no rule takes is
/// dropped as with single deliveries, instead of being posted to an empty path.
/// </summary>
internal sealed class BatchDelivery(
    SidecarRuntime runtime,
    AppChannel app,
    PubSubComponent component,
    SubscriptionResource subscription,
    CancellationToken stopping)
    : TopicDelivery(runtime, app, component, subscription, stopping)
{
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public async Task DeliverAsync(IMessageBatch batch, CancellationToken cancellationToken)
    {
        var routes = new Dictionary<string, List<Entry>>();
        for (var i = 0; i < batch.Messages.Count; i++)
        {
            var message = batch.Messages[i];
            var data = IsRaw ? CloudEventEnvelope.Wrap(Component.Name, Subscription.Topic, message.Data, message.Metadata) : message.Data;
            if (!TryRoute(data, out var header, out var path, out var outcome))
            {
                batch.Finish(i, await SettleAsync(message, outcome));
                continue;
            }

            if (!routes.TryGetValue(path, out var entries))
                routes.Add(path, entries = []);
            entries.Add(new(i, Uuid.Next(), message, header));
        }

        var firstAttempts = routes.Count;
        await Task.WhenAll(routes.Select(route => DeliverAsync(batch, route.Key, route.Value, FirstAttemptEnded, cancellationToken)));

        void FirstAttemptEnded()
        {
            if (Interlocked.Decrement(ref firstAttempts) == 0)
                batch.LetNextCome();
        }
    }

    private async Task DeliverAsync(IMessageBatch batch, string path, List<Entry> entries, Action firstAttemptEnded, CancellationToken cancellationToken)
    {
        var attempts = 0;
        try
        {
            if (Inbound is null)
                await AttemptOnceAsync(cancellationToken);
            else
                await Inbound.ExecuteAsync(AttemptOnceAsync, cancellationToken);
            return;
        }
        catch (Exception error)
        {
            if (cancellationToken.IsCancellationRequested)
                return;

            Runtime.Logger.LogWarning(
                "{Count} events of topic {Topic}, among them {EventId}, were not handled at {Path} of {AppId}: {Reason}",
                entries.Count, Subscription.Topic, entries.Count > 0 ? entries[0].Header.Id : null, path, Runtime.Options.AppId, error.Message);
        }

        var failures = Subscription.DeadLetterTopic is null ? null : await TryDeadLetterAsync(entries.ConvertAll(entry => entry.Message));
        for (var i = 0; i < entries.Count; i++)
            batch.Finish(entries[i].Index, failures is not null && failures[i] is null ? DeliveryResult.Done : DeliveryResult.Failed);

        async ValueTask AttemptOnceAsync(CancellationToken stop)
        {
            try
            {
                await AttemptAsync(batch, App.Address(path), entries, stop);
            }
            finally
            {
                if (attempts++ == 0)
                    firstAttemptEnded();
            }
        }
    }

    /// <summary>Finishes what succeeded or was dropped and takes it off the entries; throws while some are left.</summary>
    private async ValueTask AttemptAsync(IMessageBatch batch, Uri route, List<Entry> entries, CancellationToken cancellationToken)
    {
        var traceParent = entries.Find(entry => !string.IsNullOrEmpty(entry.Header.TraceParent)).Header.TraceParent;
        Runtime.Metrics.DeliveredInBulk(Component.Name, Subscription.Topic);
        using var answer = await App.SendBatchAsync(route, Envelope(entries), traceParent, cancellationToken);
        var body = await AppChannel.ReadAsync(answer, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.NotFound)
        {
            Runtime.Logger.LogError(
                "{Count} events of topic {Topic} are dropped without a dead letter, as daprd does: {AppId} has no route {Route}",
                entries.Count, Subscription.Topic, Runtime.Options.AppId, route.AbsolutePath);
            foreach (var entry in entries)
                batch.Finish(entry.Index, DeliveryResult.Done);
            entries.Clear();
            return;
        }

        if (!answer.IsSuccessStatusCode)
            throw new AttemptFailedException($"the application answered {AppDelivery.Describe(answer, body)}");

        await ApplyAsync(batch, entries, Verdicts(answer, body));
        if (entries.Count > 0)
            throw new AttemptFailedException($"{entries.Count} entries are to be retried");
    }

    private static Dictionary<string, AppVerdict> Verdicts(HttpResponseMessage answer, byte[] body)
    {
        try
        {
            return AppAnswer.ReadMany(body);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new AttemptFailedException($"the application's answer says nothing about the entries: {AppDelivery.Describe(answer, body)}", inner: error);
        }
    }

    private async Task ApplyAsync(IMessageBatch batch, List<Entry> entries, Dictionary<string, AppVerdict> verdicts)
    {
        var retried = new List<Entry>();
        var dropped = 0;
        foreach (var entry in entries)
        {
            switch (verdicts.GetValueOrDefault(entry.Id, AppVerdict.Retry))
            {
                case AppVerdict.Success:
                    batch.Finish(entry.Index, DeliveryResult.Done);
                    break;
                case AppVerdict.Drop:
                    dropped++;
                    Runtime.Logger.LogWarning(
                        "Event {EventId} of topic {Topic} was dropped by the application", entry.Header.Id, Subscription.Topic);
                    await SettleAsync(entry.Message, Unroutable.Dropped);
                    batch.Finish(entry.Index, DeliveryResult.Done);
                    break;
                default:
                    retried.Add(entry);
                    break;
            }
        }

        Count("success", entries.Count - dropped - retried.Count);
        Count("drop", dropped);
        Count("retry", retried.Count);
        entries.Clear();
        entries.AddRange(retried);

        void Count(string outcome, int events)
        {
            if (events > 0)
                Runtime.Metrics.DeliveredInBulk(Component.Name, Subscription.Topic, outcome, events);
        }
    }

    private ReadOnlyMemory<byte> Envelope(List<Entry> entries)
    {
        var size = 256;
        foreach (var entry in entries)
            size += entry.Message.Data.Length + 192;

        var buffer = new ArrayBufferWriter<byte>(size);
        using var json = new Utf8JsonWriter(buffer, WriterOptions);
        json.WriteStartObject();
        json.WriteStartArray("entries"u8);
        foreach (var entry in entries)
        {
            json.WriteStartObject();
            json.WriteString("entryId"u8, entry.Id);
            if (IsRaw)
            {
                json.WriteBase64String("event"u8, entry.Message.Data.Span);
            }
            else
            {
                json.WritePropertyName("event"u8);
                json.WriteRawValue(entry.Message.Data.Span, skipInputValidation: true);
            }

            WriteMetadata(json, entry.Message.Metadata);
            json.WriteString("contentType"u8, entry.Message.ContentType ?? (IsRaw ? "application/octet-stream" : CloudEventEnvelope.ContentType));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("id"u8, Uuid.Next());
        json.WriteStartObject("metadata"u8);
        json.WriteString("pubsubName"u8, Component.Name);
        json.WriteEndObject();
        json.WriteString("pubsubname"u8, Component.Name);
        json.WriteString("topic"u8, Subscription.Topic);
        json.WriteString("type"u8, "com.dapr.event.sent.bulk"u8);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is null)
        {
            json.WriteNull("metadata"u8);
            return;
        }

        json.WriteStartObject("metadata"u8);
        foreach (var (name, value) in metadata)
            json.WriteString(name, value);
        json.WriteEndObject();
    }

    private readonly record struct Entry(int Index, string Id, BrokerMessage Message, EventHeader Header);
}
