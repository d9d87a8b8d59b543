using System.Collections.Immutable;
using System.Globalization;
using DaprOrders.ServiceDefaults.Errors;

namespace DaprOrders.Reporting.Updates;

/// <summary>How far a reader is in one lane: all of the lane's batches up to <c>Batch</c>, or, of that last one, only up to an order's version.</summary>
/// <param name="OrderId">Null: the whole batch.</param>
internal readonly record struct LanePosition(long Batch, string? OrderId = null, long Version = 0) : IComparable<LanePosition>
{
    /// <summary>The batches that are passed altogether.</summary>
    public long Whole => OrderId is null ? Batch : Batch - 1;

    public int CompareTo(LanePosition other)
    {
        if (Batch != other.Batch)
            return Batch.CompareTo(other.Batch);
        if (OrderId is null || other.OrderId is null)
            return (OrderId is null).CompareTo(other.OrderId is null);
        var order = string.CompareOrdinal(OrderId, other.OrderId);
        return order != 0 ? order : Version.CompareTo(other.Version);
    }
}

/// <summary>
/// How far a reader of the updates is, in each lane of the orders' event log. It is made of the log alone, so it means the same on every replica, before and
/// after a restart. To clients it is a text that only comes back.
/// </summary>
internal sealed record UpdatePosition(ImmutableSortedDictionary<string, LanePosition> Lanes)
{
    private const string Nowhere = "-";

    public static UpdatePosition Start { get; } = new(ImmutableSortedDictionary.Create<string, LanePosition>(StringComparer.Ordinal));

    /// <summary>A lane that is not named has not been read: lanes come into being while others are followed.</summary>
    public LanePosition Of(string lane) => Lanes.GetValueOrDefault(lane);

    public UpdatePosition MovedTo(string lane, LanePosition position) => new(Lanes.SetItem(lane, position));

    /// <summary>True when what came before <paramref name="other"/> came before this, too.</summary>
    public bool Reaches(UpdatePosition other) => other.Lanes.All(lane => Of(lane.Key).CompareTo(lane.Value) >= 0);

    public override string ToString() => Lanes.Count == 0 ? Nowhere : string.Join(',', Lanes.Select(lane => lane.Value.OrderId is null
        ? string.Create(CultureInfo.InvariantCulture, $"{lane.Key}:{lane.Value.Batch}")
        : string.Create(CultureInfo.InvariantCulture, $"{lane.Key}:{lane.Value.Batch}:{lane.Value.OrderId}:{lane.Value.Version}")));

    /// <summary>Null when the text is none that <see cref="ToString"/> made.</summary>
    public static UpdatePosition? Parse(string text)
    {
        if (text == Nowhere)
            return Start;

        var position = Start;
        foreach (var lane in text.Split(','))
        {
            string[] parts = lane.Split(':');
            if (parts.Length is not (2 or 4) || !FieldErrors.IsId(parts[0]) || position.Lanes.ContainsKey(parts[0]) || !IsNumber(parts[1], out var batch))
                return null;
            if (parts.Length == 2)
                position = position.MovedTo(parts[0], new LanePosition(batch));
            else if (batch > 0 && FieldErrors.IsId(parts[2]) && IsNumber(parts[3], out var version))
                position = position.MovedTo(parts[0], new LanePosition(batch, parts[2], version));
            else
                return null;
        }

        return position;
    }

    private static bool IsNumber(string text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
