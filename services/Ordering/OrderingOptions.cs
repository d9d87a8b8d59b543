using System.ComponentModel.DataAnnotations;

namespace DaprOrders.Ordering;

/// <summary>Section <c>Ordering</c> of the configuration.</summary>
public sealed class OrderingOptions
{
    /// <summary>An order that is not paid this long after it was placed is cancelled.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "30.00:00:00")]
    public TimeSpan PaymentDeadline { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a price may be used without looking whether it has changed: a new price counts at the latest this long after it arrived.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan PriceAge { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// While so many orders that a replica accepted have not come to their payment, it answers <c>POST /orders</c> with 503: what is accepted
    /// ends in bounded time, and a backlog does not slow down everything. 0: no limit.
    /// </summary>
    [Range(0, int.MaxValue)]
    public int MostOrdersUnderway { get; set; } = 2_000;

    /// <summary>How much later than its deadline an order may be cancelled: 1/30 of it, between a tenth of a second and 30 seconds.</summary>
    internal TimeSpan VisitEvery => TimeSpan.FromSeconds(Math.Clamp(PaymentDeadline.TotalSeconds / 30, 0.1, 30));
}
