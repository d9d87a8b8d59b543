namespace DaprOrders.Reporting.Updates;

/// <summary>An update with what is sent of it to who reads all of them.</summary>
internal sealed record SentUpdate(OrderUpdate Update, byte[] Frame);

/// <summary>The latest updates between two positions, for readers that come back.</summary>
/// <param name="capacity">The oldest go when there are more.</param>
internal sealed class RecentUpdates(int capacity)
{
    private LinkedList<SentUpdate> _updates = [];

    /// <summary>All updates after this position are here.</summary>
    public UpdatePosition First { get; private set; } = UpdatePosition.Start;

    /// <summary>Everything up to this position was read.</summary>
    public UpdatePosition Last { get; private set; } = UpdatePosition.Start;

    public void StartAt(UpdatePosition position)
    {
        _updates = [];
        (First, Last) = (position, position);
    }

    /// <param name="updates">Those between <see cref="Last"/> and the position.</param>
    public IReadOnlyList<SentUpdate> Append(IReadOnlyList<OrderUpdate> updates, UpdatePosition last)
    {
        var sent = Positioned(Last, updates);
        // The reader of a page's last update is through with all of the page.
        if (sent.Count > 0)
            sent[^1] = new SentUpdate(updates[^1], updates[^1].At(last));
        foreach (var update in sent)
            _updates.AddLast(update);
        Last = last;
        for (; _updates.Count > capacity; _updates.RemoveFirst())
            First = First.MovedTo(_updates.First!.Value.Update.Lane, _updates.First.Value.Update.Position);
        return sent;
    }

    /// <param name="updates">Those between the position and <see cref="First"/>.</param>
    /// <returns>False when that are too many: nothing is changed.</returns>
    public bool Prepend(UpdatePosition first, IReadOnlyList<OrderUpdate> updates)
    {
        if (_updates.Count + updates.Count > capacity)
            return false;
        _updates = new LinkedList<SentUpdate>([.. Positioned(first, updates), .. _updates]);
        First = first;
        return true;
    }

    /// <summary>Null when not all of them are here.</summary>
    public IReadOnlyList<SentUpdate>? After(UpdatePosition position) => position.Reaches(First)
        ? [.. _updates.Where(sent => sent.Update.Position.CompareTo(position.Of(sent.Update.Lane)) > 0)]
        : null;

    private static List<SentUpdate> Positioned(UpdatePosition position, IReadOnlyList<OrderUpdate> updates)
    {
        var sent = new List<SentUpdate>(updates.Count);
        foreach (var update in updates)
        {
            position = position.MovedTo(update.Lane, update.Position);
            sent.Add(new SentUpdate(update, update.At(position)));
        }

        return sent;
    }
}
