using System.Globalization;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>Orders placed within one bucket of time share an actor and its reminder.</summary>
internal static class DeadlineBuckets
{
    /// <summary>The end of the bucket that a moment lies in.</summary>
    public static DateTimeOffset EndOf(DateTimeOffset moment, TimeSpan width) =>
        new((moment.UtcTicks / width.Ticks + 1) * width.Ticks, TimeSpan.Zero);

    public static string ActorIdOf(DateTimeOffset bucketEnd, string shard) =>
        string.Create(CultureInfo.InvariantCulture, $"{bucketEnd:yyyyMMdd'T'HHmmssfff}-{shard}");
}
