using EmbeddedSidecar.Api.PubSub.Targets;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>
/// The bulk deliveries of one subscription: a batch is one call per route, answered entry by entry; only the entries that failed are
/// retried, and dead-lettered in the end (pkg/runtime/subscription/bulksubscription.go). Unlike daprd, an event that no rule takes is
/// dropped as with single deliveries, instead of being posted to an empty path.
/// </summary>
internal sealed class BatchDelivery(
    SidecarRuntime runtime,
    IBatchTarget target,
    PubSubComponent component,
    SubscriptionResource subscription,
    CancellationToken stopping)
    : TopicDelivery(runtime, target, component, subscription, stopping)
{
    public async Task DeliverAsync(IMessageBatch batch, CancellationToken cancellationToken)
    {
        var routes = new Dictionary<string, List<BatchEntry>>();
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

        var unanswered = routes.Count;
        await Task.WhenAll(routes.Select(route => DeliverAsync(batch, route.Key, route.Value, Answered, cancellationToken)));

        void Answered()
        {
            if (Interlocked.Decrement(ref unanswered) == 0)
                batch.LetNextCome();
        }
    }

    private async Task DeliverAsync(IMessageBatch batch, string path, List<BatchEntry> entries, Action answered, CancellationToken cancellationToken)
    {
        var isAnswered = false;
        try
        {
            await Inbound.RunAsync(AttemptOnceAsync, cancellationToken);
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
        finally
        {
            Answer();
        }

        var failures = Subscription.DeadLetterTopic is null ? null : await TryDeadLetterAsync(entries.ConvertAll(entry => entry.Message));
        for (var i = 0; i < entries.Count; i++)
            batch.Finish(entries[i].Index, failures is not null && failures[i] is null ? DeliveryResult.Done : DeliveryResult.Failed);

        async Task AttemptOnceAsync(CancellationToken stop)
        {
            try
            {
                await AttemptAsync(batch, path, entries, stop);
            }
            finally
            {
                // One that does not answer in time is slow, and has enough to do with this batch.
                if (!stop.IsCancellationRequested)
                    Answer();
            }
        }

        void Answer()
        {
            if (!isAnswered)
                answered();
            isAnswered = true;
        }
    }

    /// <summary>Finishes what succeeded or was dropped and takes it off the entries; throws while some are left.</summary>
    private async Task AttemptAsync(IMessageBatch batch, string path, List<BatchEntry> entries, CancellationToken cancellationToken)
    {
        Runtime.Metrics.DeliveredInBulk(Component.Name, Subscription.Topic);
        if (await target.DeliverManyAsync(path, entries, IsRaw, cancellationToken) is not { } verdicts)
        {
            Runtime.Logger.LogError(
                "{Count} events of topic {Topic} are dropped without a dead letter, as daprd does: {AppId} has no route {Route}",
                entries.Count, Subscription.Topic, Runtime.Options.AppId, path);
            foreach (var entry in entries)
                batch.Finish(entry.Index, DeliveryResult.Done);
            entries.Clear();
            return;
        }

        await ApplyAsync(batch, entries, verdicts);
        if (entries.Count > 0)
            throw new AttemptFailedException($"{entries.Count} entries are to be retried");
    }

    private async Task ApplyAsync(IMessageBatch batch, List<BatchEntry> entries, Dictionary<string, AppVerdict> verdicts)
    {
        var retried = new List<BatchEntry>();
        var dropped = 0;
        foreach (var entry in entries)
        {
            switch (verdicts.GetValueOrDefault(entry.Id, AppVerdict.Retry))
            {
                case AppVerdict.Success:
                    batch.Finish(entry.Index, DeliveryResult.Done);
                    break;
                case AppVerdict.Drop:
                    Runtime.Logger.LogWarning(
                        "Event {EventId} of topic {Topic} was dropped by the application", entry.Header.Id, Subscription.Topic);
                    if (Subscription.DeadLetterTopic is not null && await TryDeadLetterAsync([entry.Message]) is not [null])
                    {
                        // There is no other copy, which daprd loses here.
                        retried.Add(entry);
                        break;
                    }

                    dropped++;
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
}
