using Polly;
using Polly.Timeout;

namespace EmbeddedSidecar.Resiliency;

/// <summary>Calls under a policy where there is one; where there is none, nothing stands between.</summary>
internal static class OptionalPolicy
{
    public const string TimedOut = "context deadline exceeded";

    public static async Task<T> RunAsync<T>(this ResiliencePipeline? policy, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        policy is null ? await call(cancellationToken) : await policy.ExecuteAsync(async attempt => await call(attempt), cancellationToken);

    public static Task RunAsync(this ResiliencePipeline? policy, Func<CancellationToken, Task> call, CancellationToken cancellationToken) =>
        policy is null ? call(cancellationToken) : policy.ExecuteAsync(async attempt => await call(attempt), cancellationToken).AsTask();

    /// <summary>Many in one call, each with a result of its own: null, or why it failed. Only those that failed are tried again.</summary>
    /// <param name="policy">Null: one attempt.</param>
    /// <param name="items">What is to be done.</param>
    /// <param name="call">Takes some of the items and gives their results.</param>
    /// <param name="isFinal">A failure that asking again cannot mend.</param>
    /// <param name="resultOf">What the failure of a whole call is for the items that have no result; null: it is thrown.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    public static async Task<IReadOnlyList<TFailure?>> RunManyAsync<TItem, TFailure>(
        this ResiliencePipeline? policy,
        IReadOnlyList<TItem> items,
        Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TFailure?>>> call,
        Func<TFailure, bool> isFinal,
        Func<Exception, TFailure?> resultOf,
        CancellationToken cancellationToken)
        where TFailure : Exception
    {
        if (policy is null)
            return await call(items, cancellationToken);

        var results = new TFailure?[items.Count];
        List<int> open = [.. Enumerable.Range(0, items.Count)];
        try
        {
            await policy.ExecuteAsync(
                async attempt =>
                {
                    var answers = await call([.. open.Select(at => items[at])], attempt);
                    for (var i = 0; i < open.Count; i++)
                        results[open[i]] = answers[i];
                    open.RemoveAll(at => results[at] is not { } failure || isFinal(failure));
                    if (open.Count > 0)
                        throw results[open[0]]!;
                },
                cancellationToken);
        }
        catch (Exception error) when ((error is not OperationCanceledException || !cancellationToken.IsCancellationRequested) && resultOf(error) is { } failure)
        {
            foreach (var at in open)
                results[at] ??= failure;
        }

        return results;
    }

    /// <summary>daprd's words where the policy gave up; null where the call itself failed.</summary>
    public static string? WhyGivenUp(Exception error) => error switch
    {
        TimeoutRejectedException => TimedOut,
        CircuitBreakerOpenException => error.Message,
        _ => null,
    };
}
