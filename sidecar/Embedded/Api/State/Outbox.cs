using System.Text;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using Google.Rpc;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.State;

/// <summary>What is known of the transaction that an event of an internal topic is of.</summary>
internal enum OutboxFate
{
    Unknown,
    Committed,
    Refused,
}

/// <summary>
/// The transactional outbox of a state store (pkg/runtime/pubsub/outbox.go): an event for each upsert of a transaction goes to an internal topic before the commit,
/// and a marker is written with the change; <see cref="OutboxRelay"/> publishes those events whose marker it finds.
/// </summary>
internal sealed class Outbox
{
    public const string MarkerPrefix = "outbox-";

    private const string Projection = "outbox.projection";

    /// <summary>As daprd writes it, so that both can work on one store.</summary>
    private static readonly byte[] MarkerValue = "\"0\""u8.ToArray();

    private readonly SidecarRuntime _runtime;
    private readonly StateStoreComponent _store;

    /// <summary>Of this sidecar's last transactions: true when it was committed, false when nothing was written, null when neither is known.</summary>
    private readonly RecentlyUsed<Task<bool?>> _outcomes = new(10_000);

    private Outbox(SidecarRuntime runtime, StateStoreComponent store, string publishPubSub, string publishTopic)
    {
        (_runtime, _store, PublishPubSub, PublishTopic) = (runtime, store, publishPubSub, publishTopic);
        var metadata = store.Component.Metadata;
        PubSub = metadata.Text(StateStoreFields.OutboxPubSub, publishPubSub);
        Topic = $"{runtime.Options.Namespace}{runtime.Options.AppId}{publishTopic}outbox";
        DiscardsWhatHasNoMarker = ComponentMetadata.IsTruthy(metadata.Text(StateStoreFields.OutboxDiscardWhenMissingState, ""));
    }

    /// <summary>Of the internal topic.</summary>
    public string PubSub { get; }

    /// <summary>The internal one.</summary>
    public string Topic { get; }

    public string PublishPubSub { get; }

    public string PublishTopic { get; }

    public bool DiscardsWhatHasNoMarker { get; }

    /// <summary>Null for a store that names no pub/sub component, or no topic.</summary>
    public static Outbox? Of(SidecarRuntime runtime, StateStoreComponent store) =>
        store.Component.Metadata.Text(StateStoreFields.OutboxPublishPubSub, "") is { Length: > 0 } pubSub
        && store.Component.Metadata.Text(StateStoreFields.OutboxPublishTopic, "") is { Length: > 0 } topic
            ? new Outbox(runtime, store, pubSub, topic)
            : null;

    /// <exception cref="ApiException">An event could not be published, and nothing was written; or the transaction failed.</exception>
    public async Task TransactAsync(IReadOnlyList<StateOperation> operations, string traceParent, string traceState, CancellationToken cancellationToken)
    {
        var projections = operations.Where(IsProjection).ToLookup(one => one.Write.Key);
        var changes = operations.Where(one => !IsProjection(one)).ToList();
        var outcome = new TaskCompletionSource<bool?>(TaskCreationOptions.RunContinuationsAsynchronously);
        bool? isCommitted = false;
        try
        {
            StateStoreComponent.Check(changes.Select(change => change.Write));
            var writes = new List<StateWrite>(changes.Count * 2);
            foreach (var change in changes)
            {
                writes.Add(change.Write);
                if (change.Write is not StateUpsert upsert)
                    continue;
                var marker = $"{MarkerPrefix}{Guid.NewGuid()}";
                _ = _outcomes.GetOrAdd(marker, () => outcome.Task);
                var origin = new EventOrigin(_runtime.Options.AppId, PubSub, "", traceParent, traceState, _runtime.Time, BrokerDropsExpired: true);
                var payload = projections[upsert.Key].LastOrDefault() ?? change;
                await PublishInternallyAsync(
                    CloudEventEnvelope.MakeForOutbox(origin, marker, Data(payload), payload.ContentType, change.Metadata), cancellationToken);
                writes.Add(new StateUpsert(marker, MarkerValue, ETag: null, FirstWrite: false, TtlSeconds: null) { IsJson = true, OnlyAfterPrevious = true });
            }

            isCommitted = null;
            await _store.CommitAsync(writes, cancellationToken);
            isCommitted = true;
        }
        catch (StateStoreException e)
        {
            // Of several attempts the first may have been done, and be what the next one was refused for.
            if (e.Failure != StateFailure.Other && !_store.TriesAgain)
                isCommitted = false;
            throw StateErrors.Transaction(e.Message);
        }
        finally
        {
            outcome.SetResult(isCommitted);
        }
    }

    /// <summary>Waits for the end of a transaction of this sidecar; of others it is known when their marker is there.</summary>
    public async Task<OutboxFate> FateAsync(string marker, CancellationToken cancellationToken)
    {
        var isCommitted = await _outcomes.GetOrAdd(marker, () => Task.FromResult<bool?>(null)).WaitAsync(cancellationToken);
        return isCommitted switch
        {
            true => OutboxFate.Committed,
            false => OutboxFate.Refused,
            null => await _store.Store.GetAsync(marker, cancellationToken) is { Value.IsEmpty: false } ? OutboxFate.Committed : OutboxFate.Unknown,
        };
    }

    /// <exception cref="ApiException">It may not be published there, or was not.</exception>
    public Task PublishAsync(ReadOnlyMemory<byte> cloudEvent, CancellationToken cancellationToken) => Find(PublishPubSub).PublishAsync(
        PublishTopic, new BrokerMessage(CloudEventEnvelope.Readdress(cloudEvent.Span, PublishPubSub, PublishTopic), null, null), cancellationToken);

    /// <summary>Null, or why the marker is still there.</summary>
    public async Task<StateStoreException?> ForgetAsync(string marker, CancellationToken cancellationToken) =>
        (await _store.Store.WriteAsync([new StateDelete(marker, ETag: null, FirstWrite: false)], cancellationToken))[0];

    private static bool IsProjection(StateOperation operation) =>
        operation.Write is StateUpsert && ComponentMetadata.IsTruthy(operation.Metadata.GetValueOrDefault(Projection, ""));

    /// <summary>A JSON value whose content type does not say so is written as Go shows it: <c>map[n:1]</c>.</summary>
    private static ReadOnlyMemory<byte> Data(StateOperation payload)
    {
        var upsert = (StateUpsert)payload.Write;
        return upsert.IsJson && !"application/json".Equals(payload.ContentType, StringComparison.OrdinalIgnoreCase)
            ? Encoding.UTF8.GetBytes(GoText.OfJson(upsert.Value.Span))
            : upsert.Value;
    }

    private PubSubComponent Find(string pubSub) => _runtime.Loaded.PubSubs.TryGetValue(pubSub, out var component) ? component : throw PubSubErrors.NotFound(pubSub);

    private async Task PublishInternallyAsync(byte[] cloudEvent, CancellationToken cancellationToken)
    {
        if (!_runtime.Loaded.PubSubs.TryGetValue(PubSub, out var component))
            throw Failed($"pubsub '{PubSub}' not found");
        try
        {
            await component.PublishAsync(Topic, new BrokerMessage(cloudEvent, null, null), cancellationToken);
        }
        catch (ApiException e)
        {
            throw Failed(e.Details.OfType<ErrorInfo>().Select(info => info.Metadata.GetValueOrDefault("error")).FirstOrDefault() ?? e.Message);
        }

        ApiException Failed(string reason) => new(500, StatusCode.Internal, "ERR_PUBLISH_OUTBOX", $"error while publishing outbox message: {reason}")
        {
            Details = [ApiException.Info("DAPR_PUBSUB_OUTBOX", ("appID", _runtime.Options.AppId), ("error", reason))],
        };
    }
}
