using EmbeddedSidecar.Components.State;
using Grpc.Core;
using Polly;

namespace EmbeddedSidecar.Resiliency;

/// <summary>
/// A failure with the status code that a retry policy's <c>matching</c> may ask for: thrown by an attempt whose answer is not
/// an <see cref="HttpResponseMessage"/> and not an <see cref="RpcException"/>.
/// </summary>
internal sealed class AttemptFailedException(string message, int? httpStatus = null, StatusCode? grpcStatus = null, Exception? inner = null)
    : Exception(message, inner)
{
    public int? HttpStatus { get; } = httpStatus;

    public StatusCode? GrpcStatus { get; } = grpcStatus;
}

/// <summary>What an attempt came to, seen by retries and breakers.</summary>
internal readonly record struct AttemptResult(bool Failed, bool Retriable, int? HttpStatus, StatusCode? GrpcStatus)
{
    private static readonly AttemptResult Success = new(false, false, null, null);

    private static readonly AttemptResult Final = new(false, false, null, null);

    public static AttemptResult Of(Exception? exception, object? result, ResilienceContext context) => exception switch
    {
        null => result is HttpResponseMessage answer && (int)answer.StatusCode is < 200 or >= 400
            ? new(true, true, (int)answer.StatusCode, null)
            : Success,
        AttemptFailedException failure => new(true, true, failure.HttpStatus, failure.GrpcStatus),
        RpcException failure => new(true, true, null, failure.StatusCode),
        CircuitBreakerOpenException => new(true, false, null, null),
        // A refused ETag is an answer: asking again gets the same one, and it says nothing against the store.
        StateStoreException { Failure: StateFailure.ETagMismatch or StateFailure.ETagInvalid } => Final,
        OperationCanceledException when context.CancellationToken.IsCancellationRequested => Final,
        _ => new(true, true, null, null),
    };
}
