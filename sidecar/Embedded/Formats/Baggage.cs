using System.Text;

namespace EmbeddedSidecar.Formats;

/// <summary>W3C baggage as OpenTelemetry for Go reads it (baggage.Parse), which daprd checks every call's by.</summary>
internal static class Baggage
{
    private const int LargestBaggage = 8192;
    private const int LargestMember = 4096;
    private const int MostMembers = 180;

    /// <summary>What is wrong with the header, in the words of Go; null when nothing is.</summary>
    /// <param name="header">One character to the byte.</param>
    public static string? Problem(string header)
    {
        if (header.Length == 0)
            return null;
        if (header.Length > LargestBaggage)
            return "baggage-string too large";
        var members = header.Split(',');
        return members.Length > MostMembers ? "too many list-members in baggage-string" : members.Select(MemberProblem).FirstOrDefault(problem => problem is not null);
    }

    private static string? MemberProblem(string member)
    {
        if (member.Length > LargestMember)
            return $"list-member too large: {member.Length}";
        var parts = member.Split(';');
        if (parts.Skip(1).FirstOrDefault(property => !IsProperty(property)) is { } bad)
            return $"invalid baggage list-member property: {Quote(bad)}";
        if (parts[0].Split('=', 2) is not [var key, var value])
            return $"invalid baggage list-member: {Quote(member)}";
        if (!IsKey(key.Trim()))
            return $"invalid key: {Quote(key.Trim())}";
        return IsValue(value.Trim()) ? null : $"invalid value: {Quote(value)}";
    }

    private static bool IsProperty(string property) => property.Length == 0 || property.Split('=', 2) switch
    {
        [var key] => IsKey(key.Trim()),
        [var key, var value] => IsKey(key.Trim()) && IsValue(value.Trim()),
        _ => false,
    };

    /// <summary>A token of HTTP.</summary>
    private static bool IsKey(string key) => key.Length > 0 && key.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));

    private static bool IsValue(string value) => value.All(c => c is > ' ' and < '\x7f' and not ('"' or ',' or ';' or '\\'));

    private static string Quote(string text) => GoText.Quote(Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(text)));
}
