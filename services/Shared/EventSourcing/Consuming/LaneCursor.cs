using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.EventSourcing;

/// <summary>
/// Up to where a lane of the event log is dealt with, in one document, and which replica of this service follows it. A replica that is gone is
/// noticed by its silence, on this process's own watch. Two that follow one lane for a moment do harm to nobody: they do the same twice.
/// </summary>
/// <param name="key">Of the document.</param>
/// <param name="lookEvery">How often who follows the lane looks.</param>
/// <param name="recoveries">
/// How often the service's own store was recovered after it went back in time (<see cref="EventStore.Recoveries"/>): what was dealt with
/// shortly before may be undone, so the lane is followed again from a little earlier.
/// </param>
public sealed class LaneCursor(
    Documents documents, string key, string instance, TimeSpan lookEvery, TimeProvider time, Func<long> recoveries)
{
    /// <summary>Who follows a lane says so at least every so many looks.</summary>
    public const int LooksUntilSignOfLife = 3;

    /// <summary>Who has said nothing for so many looks is taken for gone.</summary>
    public const int LooksUntilGone = 9;

    /// <summary>The position that is gone back to is this old, or up to twice as old: older than it takes to notice that a store went back.</summary>
    private static readonly TimeSpan Earlier = TimeSpan.FromMinutes(1);

    private Stored? _seen;
    private long _seenSince;
    private bool _isOurs;
    private long _mark;
    private long _markedAt;

    /// <summary>Meaningful while the lane is ours.</summary>
    public long Position { get; private set; }

    /// <summary>Another one whenever following begins: what was known of the lane says nothing any more, and <see cref="Position"/> is where it begins.</summary>
    public int Term { get; private set; }

    /// <summary>What is kept under a key, whichever replica follows the lane; 0 before anybody did.</summary>
    public static async Task<long> ReadPositionAsync(Documents documents, string key, CancellationToken cancellationToken) =>
        (await documents.ReadAsync<Stored>(key, cancellationToken))?.Position ?? 0;

    /// <summary>Whether this process follows the lane, after trying to get it if nobody does.</summary>
    public async Task<bool> TryHoldAsync(CancellationToken cancellationToken)
    {
        var recovered = recoveries();
        if (_isOurs && _seen!.Recoveries == recovered)
            return true;

        _isOurs = false;
        var present = await documents.ReadAsync<Stored>(key, cancellationToken);
        if (present?.Owner is not null && present.Owner != instance && !HasBeenSilent(present))
            return false;

        var position = present is null ? 0 : present.Recoveries == recovered ? present.Position : present.Earlier;
        if (!await TryWriteAsync(present, position, Math.Min(position, present?.Earlier ?? 0), recovered, cancellationToken))
            return false;

        (_mark, _markedAt) = (position, time.GetTimestamp());
        Term++;
        return true;
    }

    /// <summary>Keeps the position, if it has moved or a sign of life is due.</summary>
    /// <returns>False: another replica has taken the lane over, or the store has lost what was kept.</returns>
    public async Task<bool> TryMoveAsync(long position, CancellationToken cancellationToken)
    {
        var age = time.GetElapsedTime(_seenSince);
        if (age < (position == Position ? lookEvery * LooksUntilSignOfLife : lookEvery))
            return true;

        var earlier = _seen!.Earlier;
        if (time.GetElapsedTime(_markedAt) >= Earlier)
            (earlier, _mark, _markedAt) = (_mark, position, time.GetTimestamp());
        return await TryWriteAsync(_seen, position, earlier, _seen.Recoveries, cancellationToken);
    }

    /// <summary>Lets another replica have the lane at once.</summary>
    public async Task ReleaseAsync(long position, CancellationToken cancellationToken)
    {
        if (_isOurs)
        {
            _isOurs = false;
            await documents.ChangeAsync<Stored>(
                key, current => current == _seen ? current! with { Position = position, Owner = null, Beat = current.Beat + 1 } : current, cancellationToken);
        }
    }

    // Only over what was seen: a store that went back in time has another document, and what that says is right there.
    private async Task<bool> TryWriteAsync(Stored? former, long position, long earlier, long recovered, CancellationToken cancellationToken)
    {
        var next = new Stored(position, instance, (former?.Beat ?? 0) + 1, earlier, recovered);
        var stored = await documents.ChangeAsync<Stored>(key, current => current == former ? next : current, cancellationToken);
        (_seen, _seenSince) = (stored, time.GetTimestamp());
        (_isOurs, Position) = (stored == next, stored?.Position ?? 0);
        return _isOurs;
    }

    private bool HasBeenSilent(Stored present)
    {
        if (present == _seen)
            return time.GetElapsedTime(_seenSince) > lookEvery * LooksUntilGone;

        (_seen, _seenSince) = (present, time.GetTimestamp());
        return false;
    }

    /// <param name="Beat">Another at each writing.</param>
    /// <param name="Earlier">Where the position was a little earlier.</param>
    /// <param name="Recoveries">Of the own store, as far as this position knows of them.</param>
    private sealed record Stored(long Position, string? Owner, long Beat, long Earlier, long Recoveries);
}
