using System.Text.RegularExpressions;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>What failures have in common that differ in ids and numbers only.</summary>
public static partial class FailureReasons
{
    private const int Longest = 160;

    /// <summary>The first line of a failure, with a sign in the place of every id and number.</summary>
    public static string Of(string error)
    {
        var first = error.Split('\n', 2)[0].Trim();
        var general = Particular().Replace(first, "…");
        return general.Length <= Longest ? general : $"{general[..Longest]}…";
    }

    [GeneratedRegex(@"\b[a-z]+-[0-9a-fA-F-]{8,}(:\d+)?|\b[0-9a-fA-F]{8}-?[0-9a-fA-F-]{4,}\b|\b\d+\b")]
    private static partial Regex Particular();
}
