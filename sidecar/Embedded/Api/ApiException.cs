using Google.Protobuf;
using Google.Rpc;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api;

/// <summary>
/// An error of the Dapr API itself, answered over HTTP as <c>{"errorCode","message","details"?}</c> and over gRPC as a status with
/// the same details (dapr pkg/api/errors).
/// </summary>
internal sealed class ApiException(int httpStatus, StatusCode grpcStatus, string errorCode, string message) : Exception(message)
{
    public int HttpStatus { get; } = httpStatus;

    public StatusCode GrpcStatus { get; } = grpcStatus;

    /// <summary>For instance <c>ERR_STATE_STORE_NOT_FOUND</c>.</summary>
    public string ErrorCode { get; } = errorCode;

    /// <summary>google.rpc.ErrorInfo, ResourceInfo, BadRequest, ...</summary>
    public IReadOnlyList<IMessage> Details { get; init; } = [];

    /// <summary>What gRPC says in the place of <see cref="Details"/>.</summary>
    public IReadOnlyList<IMessage>? GrpcDetails { get; init; }

    /// <summary>What gRPC says in the place of the message.</summary>
    public string? GrpcMessage { get; init; }

    /// <summary>The ErrorInfo that nearly every error carries.</summary>
    public static ErrorInfo Info(string reason, params ReadOnlySpan<(string Name, string Value)> metadata)
    {
        var info = new ErrorInfo { Domain = "dapr.io", Reason = reason };
        foreach (var (name, value) in metadata)
            info.Metadata.Add(name, value);

        return info;
    }
}
