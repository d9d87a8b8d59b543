namespace DaprOrders.EventSourcing;

/// <summary>What a topic lost, delivered twice or in another order, put right by asking the publisher.</summary>
public static class MissingEvents
{
    private const int FetchedAtOnce = 200;

    /// <summary>
    /// Those of the events that come after a position of their stream, in order, each once, with the missing ones between them; among these
    /// may be <see cref="NotKnownHere"/>.
    /// </summary>
    /// <param name="events">Of one source stream, in order of version.</param>
    /// <param name="position">The last version that was applied before.</param>
    /// <param name="neededUpTo">Missing events of a later version are left out.</param>
    /// <exception cref="InvalidOperationException">The publisher does not have an event that is missing.</exception>
    public static async Task<IReadOnlyList<IncomingEvent>> CompleteAsync(
        this IPublisherStreams publishers,
        IReadOnlyList<IncomingEvent> events,
        long position,
        EventTypes types,
        CancellationToken cancellationToken,
        long neededUpTo = long.MaxValue)
    {
        var complete = new List<IncomingEvent>(events.Count);
        foreach (var incoming in events.Where(incoming => incoming.Recorded.Version > position))
        {
            var (publisher, stream, version) = (incoming.Publisher, incoming.Recorded.Stream, incoming.Recorded.Version);
            var wantedUpTo = Math.Min(version - 1, neededUpTo);
            while (position < wantedUpTo)
            {
                var wanted = (int)Math.Min(wantedUpTo - position, FetchedAtOnce);
                var fetched = await publishers.ReadAsync(publisher, stream, position, wanted, cancellationToken);
                if (fetched.Count == 0)
                {
                    throw new InvalidOperationException($"{publisher} has no version {position + 1} of {stream}, though it published {version}.");
                }

                foreach (var missing in fetched.Take(wanted))
                {
                    if (missing.Version != ++position)
                    {
                        throw new InvalidOperationException($"{publisher} answered version {missing.Version} of {stream} where {position} was asked for.");
                    }

                    complete.Add(IncomingEvent.Of(publisher, missing, types, incoming.FoundBy ?? IncomingEvent.ByGap));
                }
            }

            if (version > position)
            {
                complete.Add(incoming);
                position = version;
            }
        }

        return complete;
    }
}
