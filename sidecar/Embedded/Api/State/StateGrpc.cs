using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Concurrency = Dapr.Client.Autogen.Grpc.v1.StateOptions.Types.StateConcurrency;

namespace EmbeddedSidecar.Api.State;

/// <summary>The state methods of the gRPC API (pkg/api/grpc/grpc.go). Values are kept as the bytes that came.</summary>
internal static class StateGrpc
{
    private static readonly Task<Empty> Done = Task.FromResult(new Empty());

    public static void BindState(this DaprGrpcMethods methods)
    {
        methods.Unary<GetStateRequest, GetStateResponse>("GetState", GetAsync);
        methods.Unary<GetBulkStateRequest, GetBulkStateResponse>("GetBulkState", GetBulkAsync);
        methods.Unary<SaveStateRequest, Empty>("SaveState", SaveAsync);
        methods.Unary<DeleteStateRequest, Empty>("DeleteState", DeleteAsync);
        methods.Unary<DeleteBulkStateRequest, Empty>("DeleteBulkState", DeleteBulkAsync);
        methods.Unary<ExecuteStateTransactionRequest, Empty>("ExecuteStateTransaction", TransactAsync);
        methods.Unary<QueryStateRequest, QueryStateResponse>(
            "QueryStateAlpha1", (runtime, request, _) => throw StateErrors.QueryNotSupported(runtime.StateStore(request.StoreName).Name));
    }

    private static async Task<GetStateResponse> GetAsync(SidecarRuntime runtime, GetStateRequest request, ServerCallContext call)
    {
        var store = runtime.StateStore(request.StoreName);
        var entry = await store.GetAsync(request.Key, call.CancellationToken);
        var response = new GetStateResponse();
        if (entry is not null)
        {
            response.Data = UnsafeByteOperations.UnsafeWrap(entry.Value);
            response.Etag = entry.ETag;
            AddExpiry(response.Metadata, entry);
        }

        return response;
    }

    private static async Task<GetBulkStateResponse> GetBulkAsync(SidecarRuntime runtime, GetBulkStateRequest request, ServerCallContext call)
    {
        var store = runtime.StateStore(request.StoreName);
        var entries = await store.GetManyAsync(request.Keys, call.CancellationToken);
        var response = new GetBulkStateResponse();
        foreach (var (key, found) in entries)
        {
            var item = new BulkStateItem { Key = key };
            if (found is { } entry)
            {
                item.Data = UnsafeByteOperations.UnsafeWrap(entry.Value);
                item.Etag = entry.ETag;
                AddExpiry(item.Metadata, entry);
            }

            response.Items.Add(item);
        }

        return response;
    }

    private static async Task<Empty> SaveAsync(SidecarRuntime runtime, SaveStateRequest request, ServerCallContext call)
    {
        var store = runtime.StateStore(request.StoreName);
        if (request.States.Count == 0)
            return await Done;

        var writes = new StateWrite[request.States.Count];
        for (var i = 0; i < writes.Length; i++)
        {
            var item = request.States[i];
            if (item.Key.Length == 0)
                throw StateErrors.EmptyKey();

            var isJson = StateItems.IsJson(item.Metadata);
            writes[i] = Upsert(store, item, isJson ? StateItems.Reencode(item.Value) : item.Value.Memory, isJson);
        }

        await store.SaveAsync(writes, call.CancellationToken);
        return await Done;
    }

    private static async Task<Empty> DeleteAsync(SidecarRuntime runtime, DeleteStateRequest request, ServerCallContext call)
    {
        var store = runtime.StateStore(request.StoreName);
        await store.DeleteAsync(
            request.Key,
            new StateDelete(store.FullKey(request.Key), Tag(request.Etag), IsFirstWrite(request.Options)),
            call.CancellationToken);
        return await Done;
    }

    private static async Task<Empty> DeleteBulkAsync(SidecarRuntime runtime, DeleteBulkStateRequest request, ServerCallContext call)
    {
        var store = runtime.StateStore(request.StoreName);
        var writes = new StateWrite[request.States.Count];
        for (var i = 0; i < writes.Length; i++)
            writes[i] = Delete(store, request.States[i]);

        await store.DeleteManyAsync(writes, call.CancellationToken);
        return await Done;
    }

    private static async Task<Empty> TransactAsync(SidecarRuntime runtime, ExecuteStateTransactionRequest request, ServerCallContext call)
    {
        var store = runtime.StateStore(request.StoreName).Transactional();
        var transaction = new StateOperation[request.Operations.Count];
        for (var i = 0; i < transaction.Length; i++)
        {
            var operation = request.Operations[i];
            var item = operation.Request ?? new StateItem();
            var write = operation.OperationType switch
            {
                "upsert" => Upsert(store, item, item.Value.Memory, isJson: false),
                "delete" => Delete(store, item),
                _ => throw StateErrors.UnknownOperation(operation.OperationType),
            };
            transaction[i] = new StateOperation(write, OwnContentType: null, item.Metadata.AsReadOnly());
        }

        await store.TransactAsync(transaction, call.GetHttpContext(), call.CancellationToken);
        return await Done;
    }

    private static StateWrite Upsert(StateStoreComponent store, StateItem item, ReadOnlyMemory<byte> value, bool isJson) =>
        StateItems.Upsert(store, item.Key, value, isJson, Tag(item.Etag), item.Options?.Concurrency ?? Concurrency.ConcurrencyUnspecified, item.Metadata);

    private static StateDelete Delete(StateStoreComponent store, StateItem item) =>
        new(store.FullKey(item.Key), Tag(item.Etag), IsFirstWrite(item.Options));

    private static string? Tag(Etag? etag) => etag is { Value.Length: > 0 } ? etag.Value : null;

    private static bool IsFirstWrite(StateOptions? options) => options is { Concurrency: Concurrency.ConcurrencyFirstWrite };

    private static void AddExpiry(MapField<string, string> metadata, StateEntry entry)
    {
        if (entry.ExpiresAt is { } expiry)
            metadata[StateItems.ExpireTime] = StateItems.Format(expiry);
    }
}
