using System.Globalization;
using System.Text;

namespace DaprOrders.Audit;

/// <summary>One invariant: how much was looked at, and what speaks against it.</summary>
/// <param name="Invariant">What must hold.</param>
/// <param name="Seen">What was looked at, for instance <c>120 orders</c>.</param>
public sealed record AuditCheck(string Invariant, string Seen, IReadOnlyList<string> Violations)
{
    public bool Holds => Violations.Count == 0;
}

public sealed record AuditReport(IReadOnlyList<AuditCheck> Checks, TimeSpan Took)
{
    internal const string NotLookedAt = "not looked at";

    private const int MostShown = 10;

    private const int MostOfOne = 2000;

    public bool Holds => Checks.All(check => check.Holds);

    /// <summary>A table, and below it what is wrong.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        var width = Checks.Max(check => check.Invariant.Length);
        var seen = Checks.Max(check => check.Seen.Length);
        foreach (var check in Checks)
        {
            var result = check.Seen == NotLookedAt ? "" : check.Holds ? "holds" : check.Violations.Count == 1 ? "BROKEN, once" : $"BROKEN, {check.Violations.Count} times";
            text.AppendLine(CultureInfo.InvariantCulture, $"  {check.Invariant.PadRight(width)}  {check.Seen.PadLeft(seen)}  {result}");
        }

        foreach (var check in Checks.Where(check => !check.Holds))
        {
            text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"{check.Invariant}:");
            foreach (var violation in check.Violations.Take(MostShown))
                text.AppendLine(CultureInfo.InvariantCulture, $"  {Shown(violation)}");
            if (check.Violations.Count > MostShown)
                text.AppendLine(CultureInfo.InvariantCulture, $"  and {check.Violations.Count - MostShown} more");
        }

        return text.ToString();
    }

    /// <summary>It may quote what anybody has published: nothing that a terminal would obey, and no screens of it.</summary>
    private static string Shown(string violation)
    {
        var shown = string.Concat(violation.Select(one =>
            char.IsControl(one) || char.GetUnicodeCategory(one) is UnicodeCategory.Format ? $"\\u{(int)one:x4}" : one.ToString()));
        return shown.Length > MostOfOne ? $"{shown[..MostOfOne]} ..." : shown;
    }
}

/// <summary>What whoever asks for the audit knows by itself.</summary>
/// <param name="Acknowledged">Orders that were answered 201 or 200.</param>
/// <param name="Received">By SKU, what was put in stock.</param>
public sealed record AuditKnowledge(IReadOnlyCollection<string> Acknowledged, IReadOnlyDictionary<string, int> Received)
{
    public static AuditKnowledge None { get; } = new([], new Dictionary<string, int>());
}
