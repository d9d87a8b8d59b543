using System.ComponentModel.DataAnnotations;

namespace DaprOrders.Payments;

/// <summary>Section <c>Payments</c> of the configuration.</summary>
public sealed class PaymentsOptions
{
    /// <summary>One call to the provider; afterwards its outcome is unknown, and it is asked again under the same Idempotency-Key.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:05:00")]
    public TimeSpan ProviderTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Calls in a row, before it is left to the broker or to <see cref="SettleEvery"/> to begin again.</summary>
    [Range(1, 20)]
    public int ProviderAttempts { get; set; } = 4;

    /// <summary>The first wait between two calls; it doubles.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan ProviderBackoff { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// A message waits this long for its charge; then the payment is noted as unsettled, the message is acknowledged, and other orders go on.
    /// Far below the delivery timeout in components/common/resiliency.yaml.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan SlowAfter { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often unsettled payments are taken up again, by whichever instance is running.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan SettleEvery { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Unsettled payments that may be noted; with more, the provider is down, and messages stay with the broker.</summary>
    [Range(0, 100_000)]
    public int MaxUnsettled { get; set; } = 1_000;
}
