using DaprOrders.Console.Calling;

namespace DaprOrders.Console.DeadLetters;

/// <summary>Messages that one service could not handle, for the same reason.</summary>
public sealed record LetterGroup(string App, string Reason, IReadOnlyList<DeadLetter> Letters)
{
    /// <summary>The same whenever the list is read: it is kept open by this.</summary>
    public string Key => $"{App}|{Reason}";

    public DateTimeOffset First => Letters.Min(letter => letter.ReceivedAt);

    public DateTimeOffset Last => Letters.Max(letter => letter.ReceivedAt);

    /// <summary>The largest first.</summary>
    public static IReadOnlyList<LetterGroup> Of(IEnumerable<(string App, DeadLetter Letter)> letters) =>
    [
        .. letters.GroupBy(found => (found.App, Reason: FailureReasons.Of(found.Letter.Error)))
            .Select(group => new LetterGroup(group.Key.App, group.Key.Reason, [.. group.Select(found => found.Letter)]))
            .OrderByDescending(group => group.Letters.Count).ThenBy(group => group.Key, StringComparer.Ordinal),
    ];
}
