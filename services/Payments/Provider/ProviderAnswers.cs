using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace DaprOrders.Payments.Provider;

/// <summary>While the payment provider is away, payments wait and all else goes on: degraded.</summary>
public sealed class ProviderAnswers(ProviderPace pace) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        Task.FromResult(pace.IsAway
            ? HealthCheckResult.Degraded("The payment provider does not answer: payments wait, and it is asked every few seconds whether it is back.")
            : HealthCheckResult.Healthy());
}
