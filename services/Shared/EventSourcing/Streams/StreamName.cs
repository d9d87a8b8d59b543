using System.Text.RegularExpressions;

namespace DaprOrders.EventSourcing;

/// <summary>Names as they may come from outside: in a URL, in a message. Others could name documents that are no streams, or lead to other paths.</summary>
public static partial class StreamName
{
    public const string Expected = "a category and an id with '-' between them, for instance order-0192: letters and digits, then 1-64 of A-Z a-z 0-9 . _ -";

    public static bool IsValid(string stream) => Pattern().IsMatch(stream);

    [GeneratedRegex(@"\A[A-Za-z0-9]{1,64}-[A-Za-z0-9._-]{1,64}\z")]
    private static partial Regex Pattern();
}
