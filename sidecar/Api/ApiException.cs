using Google.Protobuf;
using Grpc.Core;

namespace DaprOrders.Sidecar.Api;

/// <summary>
/// An error of the Dapr API itself, answered over HTTP as <c>{"errorCode","message","details"?}</c> and over gRPC as a status with
/// the same details (dapr pkg/api/errors).
/// </summary>
public sealed class ApiException(int httpStatus, StatusCode grpcStatus, string errorCode, string message) : Exception(message)
{
    public int HttpStatus { get; } = httpStatus;

    public StatusCode GrpcStatus { get; } = grpcStatus;

    /// <summary>For instance <c>ERR_STATE_STORE_NOT_FOUND</c>.</summary>
    public string ErrorCode { get; } = errorCode;

    /// <summary>google.rpc.ErrorInfo, ResourceInfo, BadRequest, ... shown over HTTP only when <see cref="DetailsOverHttp"/>.</summary>
    public IReadOnlyList<IMessage> Details { get; init; } = [];

    public bool DetailsOverHttp { get; init; }

    /// <summary>The gRPC text where it is not the HTTP one.</summary>
    public string? GrpcMessage { get; init; }
}
