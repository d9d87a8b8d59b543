using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Resiliency;
using Google.Rpc;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.State;

/// <summary>daprd's refusals of the state API (pkg/api/errors/state.go, pkg/messages).</summary>
internal static class StateErrors
{
    public static ApiException NotConfigured(string store, string appId) => Lookup(
        500, StatusCode.FailedPrecondition, "ERR_STATE_STORE_NOT_CONFIGURED", $"state store {store} is not configured", "DAPR_STATE_NOT_CONFIGURED", appId);

    public static ApiException NotFound(string store, string appId) => Lookup(
        400, StatusCode.InvalidArgument, "ERR_STATE_STORE_NOT_FOUND", $"state store {store} is not found", "DAPR_STATE_NOT_FOUND", appId);

    /// <summary>Over HTTP daprd wraps the text of its own error once more; in its HTTP transactions it has forgotten which key it was.</summary>
    public static ApiException IllegalKey(string store, string key, bool namesKey = true)
    {
        var text = $"input key/keyPrefix '{key}' can't contain '||'";
        var wrapped = $"api error: code = InvalidArgument desc = {text}";
        return new ApiException(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", wrapped)
        {
            GrpcMessage = text,
            Details = [Violation(namesKey ? key : "", wrapped), Resource(store), ApiException.Info("DAPR_STATE_ILLEGAL_KEY")],
            GrpcDetails = [Violation(key, text), Resource(store), ApiException.Info("DAPR_STATE_ILLEGAL_KEY")],
        };
    }

    public static ApiException TransactionsNotSupported(string store) =>
        new(500, StatusCode.Unimplemented, "ERR_STATE_STORE_NOT_SUPPORTED", $"state store {store} doesn't support transactions")
        {
            Details =
            [
                new Help
                {
                    Links =
                    {
                        new Help.Types.Link
                        {
                            Url = "https://docs.dapr.io/reference/components-reference/supported-state-stores/",
                            Description = "Check the list of state stores and the features they support",
                        },
                    },
                },
                Resource(store),
                ApiException.Info("DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED"),
            ],
        };

    public static ApiException QueryNotSupported(string store) =>
        new(500, StatusCode.Internal, "ERR_STATE_STORE_NOT_SUPPORTED", "state store does not support querying")
        {
            Details = [Resource(store), ApiException.Info("DAPR_STATE_QUERYING_NOT_SUPPORTED")],
        };

    public static ApiException Malformed(string message) => Basic(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", message);

    public static ApiException Get(string store, string key, StateStoreException e) =>
        Basic(500, StatusCode.Internal, "ERR_STATE_GET", $"fail to get {key} from state store {store}: {e.Message}");

    /// <summary>Over gRPC it is handed on as it is.</summary>
    public static ApiException GetBulk(StateStoreException e) =>
        new(500, e.Message == OptionalPolicy.TimedOut ? StatusCode.DeadlineExceeded : StatusCode.Unknown, "ERR_STATE_BULK_GET", e.Message) { GrpcDetails = [] };

    public static ApiException Save(string store, StateStoreException e) =>
        OfWrite(e, "ERR_STATE_SAVE", $"failed saving state in state store {store}: {e.Message}");

    public static ApiException Delete(string key, StateStoreException e) =>
        OfWrite(e, "ERR_STATE_DELETE", $"failed deleting state with key {key}: {e.Message}");

    public static ApiException DeleteBulk(string store, StateStoreException e) =>
        OfWrite(e, "ERR_STATE_BULK_DELETE", $"failed deleting state in state store {store}: {e.Message}");

    /// <summary>Whatever the reason: a client cannot tell a clash from a failure.</summary>
    public static ApiException Transaction(string message) =>
        Basic(500, StatusCode.Internal, "ERR_STATE_TRANSACTION", $"error while executing state transaction: {message}");

    public static ApiException UnknownOperation(string operation) =>
        Basic(400, StatusCode.Unimplemented, "ERR_NOT_SUPPORTED_STATE_OPERATION", $"operation type {operation} not supported");

    /// <summary>Over HTTP the same is malformed: <c>"key" is a required field</c>.</summary>
    public static ApiException EmptyKey() => Basic(400, StatusCode.InvalidArgument, "ERR_STATE_SAVE", "state key cannot be empty");

    private static ApiException OfWrite(StateStoreException e, string code, string message) => e.Failure switch
    {
        StateFailure.ETagMismatch => Basic(409, StatusCode.Aborted, code, message),
        StateFailure.ETagInvalid => Basic(400, StatusCode.InvalidArgument, code, message),
        _ => Basic(500, StatusCode.Internal, code, message),
    };

    private static ApiException Lookup(int http, StatusCode grpc, string code, string message, string reason, string appId) =>
        new(http, grpc, code, message)
        {
            Details = [ApiException.Info(reason, ("appID", appId))],
            GrpcDetails = [ApiException.Info(reason)],
        };

    private static ApiException Basic(int http, StatusCode grpc, string code, string message) =>
        new(http, grpc, code, message) { GrpcDetails = [ApiException.Info(code)] };

    private static ResourceInfo Resource(string store) => new() { ResourceType = "state", ResourceName = store };

    private static BadRequest Violation(string key, string text) =>
        new() { FieldViolations = { new BadRequest.Types.FieldViolation { Field = key, Description = text } } };
}
