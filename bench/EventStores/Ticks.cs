using DaprOrders.EventSourcing;

namespace DaprOrders.Bench.EventStores;

/// <summary>The one event that is written, about as large as that of an order with one line.</summary>
public sealed record Ticked(long Number, string Text);

/// <summary>What a stream folds to.</summary>
public sealed record Ticks(long Count, long Last)
{
    public const string Topic = "ticks";

    private static readonly string Text = new('x', 250);

    public static StreamCategory<Ticks, Ticked> Category { get; } = new(
        "tick", Topic, new Ticks(0, 0), (ticks, ticked) => new Ticks(ticks.Count + 1, ticked.Number));

    /// <summary>Appends events to a stream; when it returns they are durable.</summary>
    public static Task<Handled<Ticks>> AppendAsync(
        EventStore store, string id, bool isNew, CancellationToken cancellationToken, int events = 1) =>
        store.HandleAsync(
            Category,
            id,
            ticks => Decision<Ticked>.Of([.. Enumerable.Range(1, events).Select(n => new Ticked(ticks.Count + n, Text))]),
            new CommandContext(LikelyNew: isNew),
            cancellationToken);
}
