using DaprOrders.Console.Calling;
using DaprOrders.ServiceDefaults.DeadLetters;

namespace DaprOrders.Console.DeadLetters;

/// <summary>Messages that one service could not handle, for the same reason.</summary>
/// <param name="Letters">Empty until they are read.</param>
public sealed record LetterGroup(string App, string Reason, int Count, DateTimeOffset First, DateTimeOffset Last, IReadOnlyList<DeadLetter> Letters)
{
    /// <summary>The same whenever the list is read: it is kept open by this.</summary>
    public string Key => $"{App}|{Reason}";

    /// <summary>The largest first.</summary>
    public static IReadOnlyList<LetterGroup> Of(IEnumerable<(string App, DeadLetter Letter)> letters) =>
    [
        .. letters.GroupBy(found => (found.App, Reason: FailureReasons.Of(found.Letter.Error)))
            .Select(group => new LetterGroup(
                group.Key.App, group.Key.Reason, group.Count(), group.Min(found => found.Letter.ReceivedAt), group.Max(found => found.Letter.ReceivedAt),
                [.. group.Select(found => found.Letter)]))
            .OrderByDescending(group => group.Count).ThenBy(group => group.Key, StringComparer.Ordinal),
    ];
}
