using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Ends a loss that an operator has declared: every lane is closed, with the positions that are lost written into its head, so that no
/// position is given to another commit and no reader waits for what never comes. Any instance may do it, and several may try.
/// </summary>
internal sealed class StoreRecovery(LaneStorage storage, StoreHistory history, EventStoreOptions options, string incarnation, TimeProvider time, ILogger logger)
{
    private const int SegmentsPerRead = 256;
    private const int AttemptsToMove = 10;

    /// <summary>Marks the owner of a lane that is being closed.</summary>
    private const string Suffix = "/recovering";

    /// <summary>Closes what is not closed yet; when all is, the loss is over.</summary>
    /// <param name="isLeftBehind">Whether the owner of a head is gone.</param>
    /// <returns>The lanes that were closed here, each to be published and given back.</returns>
    public async Task<IReadOnlyList<HeadAt>> RecoverAsync(LaneList list, Loss loss, Func<HeadAt, bool> isLeftBehind, CancellationToken cancellationToken)
    {
        var closed = new List<HeadAt>();
        var isThrough = true;
        foreach (var name in list.Names.Union(loss.Lanes.Select(lane => lane.Lane)))
        {
            var head = await storage.ReadHeadAsync(name, cancellationToken);
            if (head is { Head.IsClosed: true })
            {
                continue;
            }

            // Another instance is at it.
            var isOurs = head?.Head.Owner?.EndsWith(Suffix, StringComparison.Ordinal) != true
                || head.Head.Incarnation == incarnation
                || isLeftBehind(head);
            if (isOurs && await CloseAsync(name, head, loss.Lanes.FirstOrDefault(lane => lane.Lane == name), cancellationToken) is { } taken)
            {
                closed.Add(taken);
            }
            else
            {
                isThrough = false;
            }
        }

        if (isThrough)
        {
            await history.EndAsync(loss, cancellationToken);
        }

        return closed;
    }

    // Null: it is to be tried again.
    private async Task<HeadAt?> CloseAsync(string lane, HeadAt? former, LostLane? known, CancellationToken cancellationToken)
    {
        if (former is null)
        {
            await storage.CreateHeadAsync(lane, cancellationToken);
            former = await storage.ReadHeadAsync(lane, cancellationToken);
        }

        if (former is null)
        {
            return null;
        }

        var epoch = Math.Max(former.Head.Epoch, known?.Epoch ?? 0) + 1;
        while (true)
        {
            var head = former.Head with { Owner = options.Instance + Suffix, Incarnation = incarnation, Epoch = epoch };
            if (await MoveAsync(former, head, cancellationToken) is not { } taken)
            {
                return null;
            }

            var end = Math.Max(taken.Head.Settled, known?.To ?? 0);
            var whole = await WholeUpToAsync(lane, Math.Min(taken.Head.Settled, (known?.From ?? long.MaxValue) - 1), cancellationToken);
            if (await FindLostAsync(taken, whole, end, cancellationToken) is not var (found, lost))
            {
                return null;
            }

            var (number, later) = await storage.FenceAsync(found, end + 1, cancellationToken);
            if (later is not null)
            {
                // Left by an owner of the history that is lost, whose epochs went further.
                (former, epoch) = (found, later.Value + 1);
                continue;
            }

            for (var next = end + 1; next < number; next += SegmentsPerRead)
            {
                var segments = await FindAsync(lane, next, (int)Math.Min(SegmentsPerRead, number - next), cancellationToken);
                await storage.SettleAsync(segments.OfType<Segment>(), cancellationToken);
            }

            var closed = await MoveAsync(
                found, found.Head with { IsClosed = true, Settled = number, Lost = lost.Count == 0 ? null : lost }, cancellationToken);
            if (closed is not null)
            {
                logger.LogWarning(
                    "Lane {Lane} is closed at {Settled} after the state store went back in time; its lost positions: {Lost}.",
                    lane, number, lost.Count == 0 ? "none" : string.Join(", ", lost.Select(range => $"{range.From} to {range.To}")));
            }

            return closed;
        }
    }

    // However bad the times are: what was done need not be done again.
    private Task<IReadOnlyList<Segment?>> FindAsync(string lane, long first, int count, CancellationToken cancellationToken) =>
        storage.UntilAnsweredAsync(() => storage.FindSegmentsAsync(lane, first, count, cancellationToken), cancellationToken);

    // Null: another instance has written it, or the store refuses.
    private async Task<HeadAt?> MoveAsync(HeadAt former, Head head, CancellationToken cancellationToken)
    {
        head = head with { WrittenAt = time.GetUtcNow() };
        for (var attempt = 0; attempt < AttemptsToMove; attempt++)
        {
            var present = await storage.UntilAnsweredAsync(() => storage.WriteHeadAsync(former, head, cancellationToken), cancellationToken);
            if (present is null || present.Head.IsSameAs(head))
            {
                return present;
            }

            if (present.Head.Incarnation != incarnation && present.ETag != former.ETag)
            {
                return null;
            }

            former = present;
        }

        return null;
    }

    // What was noticed may not be the first that is lost.
    private async Task<long> WholeUpToAsync(string lane, long number, CancellationToken cancellationToken)
    {
        while (number > 0)
        {
            var first = Math.Max(1, number - SegmentsPerRead + 1);
            var segments = await FindAsync(lane, first, (int)(number - first + 1), cancellationToken);
            if (segments.All(segment => segment is not null))
            {
                break;
            }

            number = first - 1;
        }

        return number;
    }

    // What is there is settled; what is not is lost. The head is written meanwhile, so that nobody takes a long work for an owner that is gone.
    private async Task<(HeadAt Head, List<LostPositions> Lost)?> FindLostAsync(HeadAt taken, long after, long end, CancellationToken cancellationToken)
    {
        var lost = new List<LostPositions>();
        while (after < end)
        {
            var segments = await FindAsync(taken.Lane, after + 1, (int)Math.Min(SegmentsPerRead, end - after), cancellationToken);
            await storage.SettleAsync(segments.OfType<Segment>(), cancellationToken);
            foreach (var segment in segments)
            {
                after++;
                if (segment is not null)
                {
                    continue;
                }

                if (lost.Count > 0 && lost[^1].To == after - 1)
                {
                    lost[^1] = lost[^1] with { To = after };
                }
                else
                {
                    lost.Add(new LostPositions(after, after));
                }
            }

            if (await MoveAsync(taken, taken.Head, cancellationToken) is not { } moved)
            {
                return null;
            }

            taken = moved;
        }

        return (taken, lost);
    }
}
