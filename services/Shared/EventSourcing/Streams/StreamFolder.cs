using System.Collections.ObjectModel;
using System.Text.Json;

namespace DaprOrders.EventSourcing.Streams;

/// <summary>Folds streams to their states, from the snapshot in their tips where there is one.</summary>
internal sealed class StreamFolder(StreamStorage streams, EventTypes types)
{
    /// <summary>The state after <paramref name="version"/>, which the tip has reached.</summary>
    public async Task<StreamState<TState>> FoldAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, TipAt at, long version, CancellationToken cancellationToken)
        where TEvent : class
    {
        var (state, after, updated) = SnapshotOf(category, at.Tip, version);
        var stored = after + 1 >= at.Tip.FirstVersion
            ? at.Tip.Events.Where(e => e.Version > after)
            : await streams.ReadAsync(at, after, (int)(version - after), cancellationToken);
        foreach (var e in stored.TakeWhile(e => e.Version <= version))
        {
            state = category.Evolve(state, Payload<TEvent>(e.Of(at.Stream)));
            updated = e.OccurredAt;
        }

        var last = at.Tip.Events.LastOrDefault(e => e.Version <= version);
        return new StreamState<TState>(at.Stream, version, state, at.Tip.CreatedAt, updated, at.Tip.Positions)
        {
            CorrelationId = last?.CorrelationId,
            SpanId = last?.SpanId,
        };
    }

    /// <summary>The stream's events of these names, those that there are.</summary>
    public async Task<IReadOnlyDictionary<string, TEvent>> NamedAsync<TEvent>(TipAt at, IReadOnlyCollection<string> names, CancellationToken cancellationToken)
        where TEvent : class
    {
        if (names.Count == 0)
        {
            return ReadOnlyDictionary<string, TEvent>.Empty;
        }

        var found = await streams.FindNamedAsync(at, names, cancellationToken);
        return found.ToDictionary(named => named.Key, named => Payload<TEvent>(named.Value.Of(at.Stream)));
    }

    private static (TState State, long After, DateTimeOffset? UpdatedAt) SnapshotOf<TState, TEvent>(StreamCategory<TState, TEvent> category, Tip tip, long version)
        where TEvent : class
    {
        if (tip.Snapshot is { } snapshot && snapshot.Shape == category.SnapshotVersion && snapshot.Version <= version)
        {
            var state = snapshot.State.Deserialize<TState>(EventTypes.Json);
            return (state ?? category.Initial, snapshot.Version, snapshot.UpdatedAt);
        }

        return (category.Initial, 0, null);
    }

    /// <exception cref="NewerEventException">A later version of this service wrote it.</exception>
    /// <exception cref="UnknownEventException">It is not an event of this stream, or does not fit.</exception>
    public TEvent Payload<TEvent>(RecordedEvent recorded)
        where TEvent : class
    {
        try
        {
            return types.Read(recorded) as TEvent ?? throw new UnknownEventException(
                $"Stream {recorded.Stream}, version {recorded.Version}: '{recorded.Type}' is not an event of this stream ({typeof(TEvent).Name}).");
        }
        catch (UnknownEventException unknown) when (unknown.IsNewer)
        {
            throw new NewerEventException(
                $"Stream {recorded.Stream} holds '{recorded.Type}' (version {recorded.Version}, schema version {recorded.SchemaVersion}), which a later version of "
                + "this service wrote; this instance cannot read it and decides nothing on the stream. Try again: instances of that version can.",
                unknown);
        }
    }
}
