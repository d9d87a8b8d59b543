using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.EventSourcing;

/// <summary>
/// Up to where a lane of the event log is dealt with, in one document, and which replica of this service follows it. A replica that is gone is
/// noticed by its silence, on this process's own watch. Two that follow one lane for a moment do harm to nobody: they do the same twice.
/// </summary>
/// <param name="key">Of the document.</param>
/// <param name="lookEvery">How often who follows the lane looks.</param>
public sealed class LaneCursor(Documents documents, string key, string instance, TimeSpan lookEvery, TimeProvider time)
{
    /// <summary>Who follows a lane says so at least every so many looks.</summary>
    public const int LooksUntilSignOfLife = 3;

    /// <summary>Who has said nothing for so many looks is taken for gone.</summary>
    public const int LooksUntilGone = 9;

    private Stored? _seen;
    private long _seenSince;
    private bool _isOurs;

    /// <summary>Meaningful while the lane is ours.</summary>
    public long Position { get; private set; }

    /// <summary>Whether this process follows the lane, after trying to get it if nobody does.</summary>
    public async Task<bool> TryHoldAsync(CancellationToken cancellationToken)
    {
        if (_isOurs)
            return true;

        var present = await documents.ReadAsync<Stored>(key, cancellationToken);
        if (present?.Owner is not null && present.Owner != instance && !HasBeenSilent(present))
            return false;

        Take(await documents.ChangeAsync<Stored>(
            key,
            current => current == present ? new Stored(present?.Position ?? 0, instance, (present?.Beat ?? 0) + 1) : current,
            cancellationToken));
        return _isOurs;
    }

    /// <summary>Keeps the position, if it has moved or a sign of life is due.</summary>
    /// <returns>False: another replica has taken the lane over.</returns>
    public async Task<bool> TryMoveAsync(long position, CancellationToken cancellationToken)
    {
        var age = time.GetElapsedTime(_seenSince);
        if (age < (position == Position ? lookEvery * LooksUntilSignOfLife : lookEvery))
            return true;

        Take(await documents.ChangeAsync<Stored>(
            key, current => current?.Owner == instance ? new Stored(position, instance, current.Beat + 1) : current, cancellationToken));
        return _isOurs;
    }

    /// <summary>Lets another replica have the lane at once.</summary>
    public async Task ReleaseAsync(long position, CancellationToken cancellationToken)
    {
        if (_isOurs)
        {
            _isOurs = false;
            await documents.ChangeAsync<Stored>(
                key, current => current?.Owner == instance ? new Stored(position, null, current.Beat + 1) : current, cancellationToken);
        }
    }

    private void Take(Stored? stored)
    {
        _isOurs = stored?.Owner == instance;
        Position = stored?.Position ?? 0;
        (_seen, _seenSince) = (stored, time.GetTimestamp());
    }

    private bool HasBeenSilent(Stored present)
    {
        if (present == _seen)
            return time.GetElapsedTime(_seenSince) > lookEvery * LooksUntilGone;

        (_seen, _seenSince) = (present, time.GetTimestamp());
        return false;
    }

    /// <param name="Beat">Another at each writing.</param>
    private sealed record Stored(long Position, string? Owner, long Beat);
}
