using EmbeddedSidecar.Api;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Hosting;
using Grpc.Core;

namespace EmbeddedSidecar.Actors;

/// <summary>One write of an actor's transaction as a client sent it; <c>Value</c> as it is to be stored; <c>Problem</c> says why it cannot be read.</summary>
internal sealed record ActorStateOperation(
    string Operation, string Key, ReadOnlyMemory<byte> Value, string? ETag, IReadOnlyDictionary<string, string> Metadata)
{
    /// <summary>As <see cref="StateUpsert.IsJson"/>.</summary>
    public bool IsJson { get; init; }

    public string? Problem { get; init; }
}

/// <summary>The state of the actors of one application, in the store marked actorStateStore (dapr pkg/actors/state).</summary>
internal sealed class ActorState(SidecarRuntime runtime, Func<ActorKey, bool> isActive)
{
    private bool IsTtlEnabled => runtime.Loaded.Configuration.EnabledFeatures.Contains("ActorStateTTL");

    private StateStoreComponent Store => runtime.Loaded.ActorStore ?? throw new ApiException(
        500,
        StatusCode.Internal,
        "ERR_ACTOR_RUNTIME_NOT_FOUND",
        "the state store is not configured to use the actor runtime. Have you set the - name: actorStateStore value: \"true\" in your state store component file?");

    /// <exception cref="ApiException"/>
    public async Task<StateEntry?> GetAsync(ActorKey actor, string key, CancellationToken cancellationToken)
    {
        var store = Store;
        try
        {
            return await store.UnderPolicyAsync(attempt => store.Store.GetAsync(Prefix(actor) + key, attempt), cancellationToken);
        }
        catch (StateStoreException e)
        {
            throw new ApiException(500, StatusCode.Internal, "ERR_ACTOR_STATE_GET", $"error getting actor state: {e.Message}");
        }
    }

    /// <summary>All or nothing.</summary>
    /// <exception cref="ApiException"/>
    public async Task TransactAsync(ActorKey actor, IReadOnlyList<ActorStateOperation> operations, CancellationToken cancellationToken)
    {
        var store = Store;
        if (!isActive(actor))
            throw new ApiException(400, StatusCode.Internal, "ERR_ACTOR_INSTANCE_MISSING", "actor instance is missing");

        var prefix = Prefix(actor);
        var writes = operations.Select(operation => ToWrite(store.Store, prefix, operation)).ToArray();
        if (writes.Length == 0)
            return;
        try
        {
            await store.UnderPolicyAsync(
                async attempt =>
                {
                    await store.Store.TransactAsync(writes, attempt);
                    return true;
                },
                cancellationToken);
        }
        catch (StateStoreException e)
        {
            throw Refused(e.Message);
        }
    }

    private StateWrite ToWrite(IStateStore store, string prefix, ActorStateOperation operation)
    {
        if (operation.Problem is { } problem)
            throw Refused(problem);
        switch (operation.Operation)
        {
            case "upsert" when operation.Key.Length > 0:
                return new StateUpsert(prefix + operation.Key, operation.Value, operation.ETag, FirstWrite: false, Ttl(store, operation.Metadata))
                {
                    IsJson = operation.IsJson,
                };
            case "delete" when operation.Key.Length > 0:
                return new StateDelete(prefix + operation.Key, operation.ETag, FirstWrite: false);
            case "upsert" or "delete":
                throw Refused("missing key");
            case "":
                throw Refused("operation is empty");
            default:
                throw Refused($"operation type {operation.Operation} not supported");
        }
    }

    private int? Ttl(IStateStore store, IReadOnlyDictionary<string, string> metadata)
    {
        if (!metadata.TryGetValue("ttlInSeconds", out var text))
            return null;
        if (!IsTtlEnabled)
            throw Refused("ttlInSeconds is not supported without the \"ActorStateTTL\" feature enabled");
        try
        {
            return text.Length > 0 ? store.ReadTtl(text) : null;
        }
        catch (StateStoreException e)
        {
            throw Refused(e.Message);
        }
    }

    private static ApiException Refused(string reason) =>
        new(500, StatusCode.Internal, "ERR_ACTOR_STATE_TRANSACTION_SAVE", $"error saving actor transaction state: {reason}");

    private string Prefix(ActorKey actor) => $"{runtime.Options.AppId}||{actor}||";
}
