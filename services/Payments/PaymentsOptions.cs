using System.ComponentModel.DataAnnotations;

namespace DaprOrders.Payments;

/// <summary>Section <c>Payments</c> of the configuration.</summary>
public sealed class PaymentsOptions
{
    /// <summary>One call to the provider; afterwards its outcome is unknown, and it is asked again under the same Idempotency-Key.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:05:00")]
    public TimeSpan ProviderTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Calls in a row for one payment, before the others go on and it has to wait.</summary>
    [Range(1, 20)]
    public int ProviderAttempts { get; set; } = 4;

    /// <summary>The first wait between two calls; it doubles.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan ProviderBackoff { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Calls of the provider that one replica makes at once, while it answers.</summary>
    [Range(1, 10_000)]
    public int MostAtOnce { get; set; } = 64;

    /// <summary>While the provider is away, it is asked this often at the least whether it is back; sooner at first.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "01:00:00")]
    public TimeSpan ProbeEvery { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How often this service's own event log is looked through for payments that owe a call and that nobody is at: after a restart, an outage, or another replica's end.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan LookEvery { get; set; } = TimeSpan.FromSeconds(5);
}
