using Polly;
using Polly.Timeout;

namespace EmbeddedSidecar.Resiliency;

/// <summary>Calls under a policy where there is one; where there is none, nothing stands between.</summary>
internal static class OptionalPolicy
{
    public static async Task<T> RunAsync<T>(this ResiliencePipeline? policy, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        policy is null ? await call(cancellationToken) : await policy.ExecuteAsync(async attempt => await call(attempt), cancellationToken);

    public static Task RunAsync(this ResiliencePipeline? policy, Func<CancellationToken, Task> call, CancellationToken cancellationToken) =>
        policy is null ? call(cancellationToken) : policy.ExecuteAsync(async attempt => await call(attempt), cancellationToken).AsTask();

    /// <summary>daprd's words where the policy gave up; null where the call itself failed.</summary>
    public static string? WhyGivenUp(Exception error) => error switch
    {
        TimeoutRejectedException => "context deadline exceeded",
        CircuitBreakerOpenException => error.Message,
        _ => null,
    };
}
