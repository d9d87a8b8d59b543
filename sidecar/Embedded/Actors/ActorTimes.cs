using System.Globalization;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Actors;

/// <summary>
/// A period of a timer or reminder: the calendar part, the exact part, and how often it fires in all (<c>Times</c> -1: for ever).
/// Forms: Go (<c>1m30s</c>) and ISO 8601 with repetitions (<c>R3/PT2S</c>, <c>R3</c>), without fractions (dapr/kit time).
/// </summary>
internal readonly record struct ActorPeriod(int Years, int Months, int Days, TimeSpan Exact, int Times)
{
    /// <summary>What an empty text means: it fires once.</summary>
    public static ActorPeriod None { get; } = new(0, 0, 0, TimeSpan.Zero, -1);

    [JsonIgnore]
    public bool IsNone => this is { Years: 0, Months: 0, Days: 0 } && Exact == TimeSpan.Zero;

    [JsonIgnore]
    public bool HasCalendarPart => Years != 0 || Months != 0 || Days != 0;

    /// <summary>Null when the calendar ends before.</summary>
    public DateTimeOffset? After(DateTimeOffset time)
    {
        try
        {
            return (HasCalendarPart ? time.AddYears(Years).AddMonths(Months).AddDays(Days) : time) + Exact;
        }
        catch (ArgumentOutOfRangeException)
        {
            return null;
        }
    }

    public static bool TryParse(string text, out ActorPeriod period)
    {
        if (ActorTimes.TryParseIso(text, out period))
            return true;
        if (!GoDuration.TryParse(text, out var exact))
            return false;
        period = None with { Exact = exact };
        return true;
    }
}

/// <summary>The points in time that a timer or reminder names.</summary>
internal static partial class ActorTimes
{
    /// <summary>A Go or ISO 8601 duration counted from <paramref name="from"/>, or an RFC 3339 time.</summary>
    /// <exception cref="FormatException">With dapr's text.</exception>
    public static DateTimeOffset Parse(string text, DateTimeOffset from)
    {
        if (TryParseIso(text, out var span))
            return span.Times == -1 ? Within(text, span.After(from)) : throw new FormatException("repetitions are not allowed");
        if (GoDuration.TryParse(text, out var duration))
            return Within(text, (ActorPeriod.None with { Exact = duration }).After(from));
        if (TryParseRfc3339(text, out var time))
            return time;
        throw new FormatException($"unsupported time/duration format: {text}");
    }

    private static DateTimeOffset Within(string text, DateTimeOffset? time) => time ?? throw new FormatException($"beyond the calendar: {text}");

    public static bool TryParseRfc3339(string text, out DateTimeOffset time)
    {
        time = default;
        return Rfc3339().IsMatch(text)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
    }

    /// <summary>As RFC 3339, in UTC.</summary>
    public static string Format(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);

    internal static bool TryParseIso(string text, out ActorPeriod period)
    {
        period = ActorPeriod.None;
        if (text.Length < 2 || text[0] is not ('R' or 'P'))
            return false;
        var match = Iso8601().Match(text);
        if (!match.Success)
            return false;
        if (!TryNumber("y", out var years) || !TryNumber("mo", out var months) || !TryNumber("w", out var weeks)
            || !TryNumber("d", out var days) || !TryNumber("h", out var hours) || !TryNumber("m", out var minutes)
            || !TryNumber("s", out var seconds) || !TryNumber("r", out var times))
            return false;
        var exact = TimeSpan.FromSeconds(hours * 3600L + minutes * 60L + seconds);
        var allDays = weeks * 7L + days;
        period = new(years, months, (int)Math.Min(allDays, int.MaxValue), exact, match.Groups["r"].Success ? times : -1);
        return true;

        bool TryNumber(string group, out int value)
        {
            value = 0;
            return !match.Groups[group].Success
                || int.TryParse(match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        }
    }

    [GeneratedRegex(
        @"^(?:R(?<r>\d+)(?:/|$))?(?:P(?=.)(?:(?<y>\d+)Y)?(?:(?<mo>\d+)M)?(?:(?<w>\d+)W)?(?:(?<d>\d+)D)?"
        + @"(?:T(?=\d)(?:(?<h>\d+)H)?(?:(?<m>\d+)M)?(?:(?<s>\d+)S)?)?)?$",
        RegexOptions.CultureInvariant)]
    private static partial Regex Iso8601();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", RegexOptions.CultureInvariant)]
    private static partial Regex Rfc3339();
}
