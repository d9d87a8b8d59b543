using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Knows whether the state store has gone back in time: what this instance wrote or saw is there no more, also when asked a second time. That is
/// said once and written down in the list of lanes, for the other instances; nothing is read or committed until an operator has declared the recovery.
/// </summary>
internal sealed class StoreHistory(LaneStorage storage, EventStoreOptions options, TimeProvider time, ILogger logger)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Head> _seen = [];
    private long _recoveries;
    private bool _isWritten;
    private volatile Loss? _loss;

    /// <summary>Null while all is well.</summary>
    public Loss? Loss => _loss;

    /// <summary>How many recoveries there were, as far as this instance has read.</summary>
    public long Recoveries
    {
        get
        {
            lock (_lock)
            {
                return _recoveries;
            }
        }
    }

    /// <exception cref="StoreWentBackException">The store went back in time, and the recovery is not through.</exception>
    public void ThrowIfWentBack()
    {
        if (_loss is { } loss)
        {
            throw Refusal(loss);
        }
    }

    /// <summary>Takes over what the list of lanes says of a loss, or of its end.</summary>
    public void Learn(LaneList list)
    {
        lock (_lock)
        {
            if (list.Loss is { } loss)
            {
                Know(loss);
                _isWritten = _loss!.Lanes.Count == loss.Lanes.Count && _loss.Lanes.All(loss.Lanes.Contains);
            }
            else if (_loss is not null && list.Recoveries > _recoveries)
            {
                // What was seen before says nothing any more.
                _seen.Clear();
                _loss = null;
                logger.LogWarning("The recovery of the event log is through: commands are taken again, under new lanes.");
            }

            // A loss that the store has forgotten once more is to be written again.
            _isWritten &= list.Loss is not null;
            _recoveries = Math.Max(_recoveries, list.Recoveries);
        }
    }

    /// <summary>Compares the lanes with what was seen of them before.</summary>
    /// <returns>What is lost, by a second look.</returns>
    public async Task<IReadOnlyList<LostLane>> CompareAsync(LaneList list, IReadOnlyList<HeadAt> heads, CancellationToken cancellationToken)
    {
        var present = heads.ToDictionary(head => head.Lane, head => head.Head);
        var lost = new List<LostLane>();
        foreach (var (lane, seen) in Seen())
        {
            if (!list.Names.Contains(lane) || IsBefore(present.GetValueOrDefault(lane), seen))
            {
                var head = (await storage.ReadHeadAsync(lane, cancellationToken))?.Head;
                if (IsBefore(head, seen) || !(await storage.ReadListAsync(cancellationToken)).List.Names.Contains(lane))
                {
                    lost.Add(new LostLane(lane, seen.Epoch, (head?.Settled ?? 0) + 1, seen.Settled));
                }
            }
        }

        lock (_lock)
        {
            foreach (var (lane, head) in present)
            {
                _seen[lane] = _seen.TryGetValue(lane, out var seen) && IsBefore(head, seen) ? seen : head;
            }
        }

        return lost;
    }

    private KeyValuePair<string, Head>[] Seen()
    {
        lock (_lock)
        {
            return [.. _seen];
        }
    }

    /// <summary>
    /// Something is certainly lost: from now on nothing is committed, here at once, elsewhere as soon as it is read. Whether it could be written
    /// down shows at the next <see cref="WriteDownAsync"/>.
    /// </summary>
    public void Report(params IReadOnlyCollection<LostLane> lanes)
    {
        if (lanes.Count == 0)
        {
            return;
        }

        lock (_lock)
        {
            var known = _loss;
            Know(known?.With(lanes) ?? new Loss(time.GetUtcNow(), options.Instance, null, [.. lanes]));
            _isWritten &= known is not null && known.With(lanes).Lanes.SequenceEqual(known.Lanes);
        }
    }

    /// <summary>Tells the other instances, unless they know.</summary>
    public async Task WriteDownAsync(CancellationToken cancellationToken)
    {
        if (_loss is not { } known || _isWritten)
        {
            return;
        }

        Learn(await storage.ChangeListAsync(
            list => list.Recoveries > _recoveries
                ? list
                : list with
                {
                    Names = [.. list.Names.Union(known.Lanes.Select(lane => lane.Lane))],
                    Loss = list.Loss?.With(known.Lanes) ?? known,
                    Recoveries = _recoveries,
                },
            cancellationToken));
    }

    /// <summary>Work may go on without what is lost: every lane that may have lost something is closed, and new ones are used.</summary>
    /// <returns>Null: no loss is known.</returns>
    public async Task<Loss?> DeclareAsync(CancellationToken cancellationToken)
    {
        await WriteDownAsync(cancellationToken);
        var list = await storage.ChangeListAsync(
            list => list.Loss is { DeclaredAt: null } loss ? list with { Loss = loss with { DeclaredAt = time.GetUtcNow() } } : list,
            cancellationToken);
        Learn(list);
        return list.Loss;
    }

    /// <summary>All that <paramref name="loss"/> speaks of is recovered, unless more has become known meanwhile.</summary>
    public async Task EndAsync(Loss loss, CancellationToken cancellationToken) => Learn(await storage.ChangeListAsync(
        list => list.Loss is { } present && present.Lanes.SequenceEqual(loss.Lanes)
            ? list with { Loss = null, Recoveries = list.Recoveries + 1 }
            : list,
        cancellationToken));

    public static StoreWentBackException Refusal(Loss loss) => new(
        $"The state store has lost what was committed ({Describe(loss)}), noticed at {loss.At:u} by {loss.By}. "
        + (loss.DeclaredAt is null
            ? "Nothing is read or written until an operator declares by POST /event-log/recovery that work goes on without it."
            : "The recovery is declared and goes on. Try again later."));

    // Closed lanes are dealt with.
    private static bool IsBefore(Head? present, Head seen) =>
        present is null || (!present.IsClosed && (present.Epoch < seen.Epoch || present.Settled < seen.Settled));

    private static string Describe(Loss loss) =>
        string.Join(", ", loss.Lanes.Select(lane => lane.From > lane.To ? $"lane {lane.Lane}" : $"lane {lane.Lane} from {lane.From} to {lane.To}"));

    private void Know(Loss loss)
    {
        if (_loss is not { } known)
        {
            _loss = loss;
            logger.LogCritical(
                "The state store went back in time, noticed by {Instance}; lost are, at least in part: {Lost}. Nothing is read or written until an operator "
                + "declares by POST /event-log/recovery that work goes on without it.",
                loss.By, Describe(loss));
        }
        else
        {
            _loss = loss.With(known.Lanes) with { DeclaredAt = loss.DeclaredAt ?? known.DeclaredAt };
        }
    }
}
