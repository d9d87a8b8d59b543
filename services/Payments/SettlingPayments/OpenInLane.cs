using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Payments.Payments;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>
/// The open payments of one lane. The cursor stands before the first page with one that is still open; a few that will not be settled while others
/// are do not hold it: they are set aside, on a list of pages of bounded size, and tried again from time to time.
/// </summary>
internal sealed class OpenInLane(string lane, LaneCursor cursor, PagedLists lists, EventStore store, OpenPayments open, ILogger logger)
{
    private const int EntriesInPage = 500;

    /// <summary>The oldest open payments that are at hand; the others wait in the log.</summary>
    private const int MostAtHand = 2_000;

    private const int LooksUntilSetAsideAgain = 12;

    private readonly string _asideList = $"settling-aside|{lane}";
    private readonly Queue<Page> _pages = new();
    private readonly Dictionary<string, ListPlace> _aside = [];
    private int _term;
    private long _read;
    private long _settledBefore;
    private long _asidePage;
    private int _looks;

    /// <summary>Whether more waits in the log than is at hand.</summary>
    public bool IsBehind { get; private set; }

    public bool HasRoom => _pages.Sum(page => page.Orders.Count(orderId => open.Find(orderId) is not null)) < MostAtHand / 2;

    /// <param name="settled">Up to where the lane can be read now.</param>
    public async Task LookAsync(long settled, CancellationToken cancellationToken)
    {
        if (!await cursor.TryHoldAsync(cancellationToken))
        {
            IsBehind = false;
            return;
        }

        if (_term != cursor.Term)
        {
            _pages.Clear();
            _aside.Clear();
            (_read, _settledBefore, _asidePage, _looks, _term) = (cursor.Position, long.MaxValue, 0, 0, cursor.Term);
        }

        await SetAsideAsync(cancellationToken);
        await ReadAsync(Math.Min(settled, _settledBefore), cancellationToken);
        _settledBefore = settled;
        if (_looks++ % LooksUntilSetAsideAgain == 0)
        {
            await TryAgainAsync(cancellationToken);
        }

        while (_pages.TryPeek(out var first) && first.Orders.Count == 0)
        {
            _pages.Dequeue();
        }

        await cursor.TryMoveAsync(Done, cancellationToken);
    }

    /// <summary>Lets another replica have the lane at once.</summary>
    public Task ReleaseAsync(CancellationToken cancellationToken) => cursor.ReleaseAsync(Done, cancellationToken);

    private long Done => _pages.TryPeek(out var waiting) ? waiting.After : _read;

    // Up to what was settled at the look before: what is younger is just being paid.
    private async Task ReadAsync(long until, CancellationToken cancellationToken)
    {
        IsBehind = false;
        while (_read < until)
        {
            IsBehind = _pages.Sum(page => page.Orders.Count) >= MostAtHand;
            if (IsBehind || await store.ReadLogEntriesAsync(lane, _read, EntriesInPage, cancellationToken) is not { } read)
            {
                return;
            }

            var orders = await OpenOfAsync(read.Entries, cancellationToken);
            if (orders.Count > 0)
            {
                _pages.Enqueue(new Page(_read, orders));
            }

            _read = read.Next;
        }
    }

    private async Task<HashSet<string>> OpenOfAsync(IReadOnlyList<LogEntry> entries, CancellationToken cancellationToken)
    {
        string[] orders =
        [
            .. entries
                .Where(entry => Payment.Category.IsStream(entry.Stream))
                .GroupBy(entry => Payment.Category.IdOf(entry.Stream), entry => entry.To)
                .Where(payment => !open.IsSettled(payment.Key, payment.Max()))
                .Select(payment => payment.Key),
        ];
        var found = new HashSet<string>();
        var (payments, unreadable) = await store.LoadReadableAsync(Payment.Category, orders, cancellationToken);
        foreach (var (orderId, payment) in payments)
        {
            if (payment.State.IsUnsettled)
            {
                open.Add(orderId, payment.UpdatedAt.GetValueOrDefault());
                found.Add(orderId);
            }
        }

        foreach (var (orderId, reason) in unreadable)
        {
            logger.LogError(reason, "Whether the payment of order {OrderId} is open cannot be read; it is set aside and looked at again", orderId);
        }

        await lists.AddAsync([.. unreadable.Keys.Select(orderId => (_asideList, new ListEntry(orderId)))], cancellationToken);
        return found;
    }

    // On the list before it leaves the page that holds the cursor. After a crash between the two it is found in both, and listed once.
    private async Task SetAsideAsync(CancellationToken cancellationToken)
    {
        List<OpenPayment> unlisted =
        [
            .. _pages.SelectMany(page => page.Orders).Where(orderId => !_aside.ContainsKey(orderId)).Select(open.Find).OfType<OpenPayment>().Where(payment => payment.IsOdd),
        ];
        if (unlisted.Count > 0)
        {
            var pages = await lists.AddAsync([.. unlisted.Select(payment => (_asideList, new ListEntry(payment.OrderId)))], cancellationToken);
            foreach (var (payment, page) in unlisted.Zip(pages))
            {
                _aside[payment.OrderId] = new ListPlace(_asideList, page);
            }
        }

        foreach (var (orderId, place) in _aside.ToList())
        {
            switch (open.Find(orderId))
            {
                case null:
                    await lists.RemoveAsync(place, orderId, cancellationToken);
                    _aside.Remove(orderId);
                    break;
                case { IsOdd: true } payment when open.TrySetAside(payment):
                    _aside.Remove(orderId);
                    break;
            }
        }

        foreach (var page in _pages)
        {
            page.Orders.RemoveWhere(orderId => open.Find(orderId) is null);
        }
    }

    // One page of the list at a time, so that those who were set aside do not crowd out the others.
    private async Task TryAgainAsync(CancellationToken cancellationToken)
    {
        var (first, last) = await lists.ReadBoundsAsync(_asideList, cancellationToken);
        _asidePage = _asidePage < first || _asidePage > last ? first : _asidePage;
        var page = _asidePage++;
        string[] orders = [.. (await lists.ReadPageAsync(_asideList, page, cancellationToken)).Select(entry => entry.Id)];
        foreach (var (orderId, payment) in (await store.LoadReadableAsync(Payment.Category, orders, cancellationToken)).Read)
        {
            if (payment.State.IsUnsettled)
            {
                open.Add(orderId, payment.UpdatedAt.GetValueOrDefault());
            }

            _aside[orderId] = new ListPlace(_asideList, page);
        }
    }

    /// <param name="After">The position before its first entry.</param>
    /// <param name="Orders">Those that are still open.</param>
    private sealed record Page(long After, HashSet<string> Orders);
}
