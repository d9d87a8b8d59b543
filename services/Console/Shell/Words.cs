using System.Globalization;
using System.Text.RegularExpressions;

namespace DaprOrders.Console.Shell;

/// <summary>Times, numbers and names, as people read them.</summary>
public static partial class Words
{
    public static string Since(TimeSpan passed, bool ago = true)
    {
        var text = passed.TotalSeconds < 1 ? "now" : Duration(passed, coarse: true);
        return ago && text != "now" ? $"{text} ago" : text;
    }

    /// <param name="coarse">One unit alone: 3 min instead of 3 min 12 s.</param>
    public static string Duration(TimeSpan time, bool coarse = false) => time switch
    {
        // Between the clocks of two machines.
        { Ticks: < 0 } => "0 ms",
        { TotalMilliseconds: < 1000 } => Invariant($"{time.TotalMilliseconds:0} ms"),
        { TotalSeconds: < 10 } when !coarse => Invariant($"{time.TotalSeconds:0.0} s"),
        { TotalSeconds: < 60 } => Invariant($"{Math.Floor(time.TotalSeconds):0} s"),
        { TotalMinutes: < 60 } => coarse ? Invariant($"{Math.Floor(time.TotalMinutes):0} min") : Invariant($"{Math.Floor(time.TotalMinutes):0} min {time.Seconds} s"),
        { TotalHours: < 48 } => coarse ? Invariant($"{Math.Floor(time.TotalHours):0} h") : Invariant($"{Math.Floor(time.TotalHours):0} h {time.Minutes} min"),
        _ => Invariant($"{Math.Floor(time.TotalDays):0} d"),
    };

    public static string Exact(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.fff 'UTC'", CultureInfo.InvariantCulture);

    public static string Clock(DateTimeOffset at) => at.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    public static string Number(double number) => number >= 100 || number == Math.Floor(number) ? Invariant($"{number:N0}") : Invariant($"{number:0.0#}");

    /// <summary>stockReserved as "stock reserved".</summary>
    public static string Plain(string camelCase) =>
        string.Concat(camelCase.Select((letter, at) => at > 0 && char.IsAsciiLetterUpper(letter) ? $" {char.ToLowerInvariant(letter)}" : char.ToLowerInvariant(letter).ToString()));

    public static string Count(long number, string one, string? many = null) => Invariant($"{number:N0} {(number == 1 ? one : many ?? $"{one}s")}");

    /// <summary>A value of an event or a state: nothing as a dash, a moment as people read it.</summary>
    public static string Value(string text) =>
        text.Length == 0 ? "–" : Moment().IsMatch(text) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? Exact(at) : text;

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")]
    private static partial Regex Moment();

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
