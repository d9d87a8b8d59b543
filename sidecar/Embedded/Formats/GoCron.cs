using System.Globalization;

namespace EmbeddedSidecar.Formats;

/// <summary>
/// A schedule as daprd reads it (dapr/kit cron, a fork of robfig/cron): <c>@every 5s</c>, <c>@daily</c> and the like, or a cron expression, after a
/// <c>TZ=Europe/Berlin</c> where wanted, else in UTC. Where neither day of month nor day of week is a star, one of them is enough.
/// </summary>
internal sealed class GoCron
{
    private const string EveryWord = "@every ";
    private const int YearsToLook = 5;

    private static readonly Bounds Seconds = new(0, 59, []);
    private static readonly Bounds Minutes = new(0, 59, []);
    private static readonly Bounds Hours = new(0, 23, []);
    private static readonly Bounds DaysOfMonth = new(1, 31, []);
    private static readonly Bounds Months = new(1, 12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]);
    private static readonly Bounds DaysOfWeek = new(0, 6, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]);

    private readonly TimeZoneInfo _zone;
    private readonly Field[] _fields = [];

    private GoCron(TimeSpan every, TimeZoneInfo zone) => (Every, _zone) = (every, zone);

    private GoCron(string[] fields, TimeZoneInfo zone)
    {
        _zone = zone;
        Bounds[] bounds = [Seconds, Minutes, Hours, DaysOfMonth, Months, DaysOfWeek];
        _fields = [.. fields.Zip(bounds, Field.Parse)];
    }

    /// <summary>The names of a field's values, from its smallest on.</summary>
    private sealed record Bounds(int Min, int Max, string[] Names);

    /// <summary>The delay of <c>@every</c>, which may be negative; null for all other forms.</summary>
    public TimeSpan? Every { get; }

    /// <param name="text">The schedule.</param>
    /// <param name="withSeconds">Six fields; else five, or six.</param>
    /// <exception cref="FormatException">With dapr's text.</exception>
    public static GoCron Parse(string text, bool withSeconds)
    {
        if (text.Length == 0)
            throw new FormatException("empty spec string");
        var zone = TimeZoneInfo.Utc;
        if (text.StartsWith("TZ=", StringComparison.Ordinal) || text.StartsWith("CRON_TZ=", StringComparison.Ordinal))
        {
            var words = text[(text.IndexOf('=', StringComparison.Ordinal) + 1)..].Split(' ', 2);
            if (!TimeZoneInfo.TryFindSystemTimeZoneById(words[0], out zone) || words.Length == 1)
                throw new FormatException($"provided bad location {words[0]}: unknown time zone {words[0]}");
            text = words[1].Trim();
        }

        if (text.StartsWith('@'))
            return OfWord(text, zone);
        var fields = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length == 5 && !withSeconds)
            fields = ["0", .. fields];
        return fields.Length == 6
            ? new(fields, zone)
            : throw new FormatException($"expected {(withSeconds ? "exactly 6" : "5 to 6")} fields, found {fields.Length}: [{string.Join(' ', fields)}]");
    }

    /// <summary>The first time that is later; null when there is none within five years.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        try
        {
            if (Every is { } every)
                return after + every;
            var time = after.AddTicks(TimeSpan.TicksPerSecond - after.Ticks % TimeSpan.TicksPerSecond);
            while (time.Year <= after.Year + YearsToLook)
            {
                if (ToPass(TimeZoneInfo.ConvertTime(time, _zone).DateTime) is not { } span)
                    return time;
                time += span;
            }
        }
        catch (ArgumentOutOfRangeException)
        {
            // The calendar ends.
        }

        return null;
    }

    /// <summary>What to add to a time that is not meant; null for one that is. Never beyond a change of the clocks.</summary>
    private TimeSpan? ToPass(DateTime local)
    {
        var toNextHour = TimeSpan.FromSeconds(3600 - (local.Minute * 60) - local.Second);
        if (!_fields[4].Has(local.Month) || !IsDay(local))
            return local.Hour < 20 ? toNextHour + TimeSpan.FromHours(20 - local.Hour) : toNextHour;
        if (!_fields[2].Has(local.Hour))
            return toNextHour;
        if (!_fields[1].Has(local.Minute))
            return TimeSpan.FromSeconds(60 - local.Second);
        return _fields[0].Has(local.Second) ? null : TimeSpan.FromSeconds(1);
    }

    private bool IsDay(DateTime local)
    {
        var (month, week) = (_fields[3], _fields[5]);
        var (inMonth, inWeek) = (month.Has(local.Day), week.Has((int)local.DayOfWeek));
        return month.IsStar || week.IsStar ? inMonth && inWeek : inMonth || inWeek;
    }

    private static GoCron OfWord(string text, TimeZoneInfo zone)
    {
        string? expression = text switch
        {
            "@yearly" or "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" or "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            _ => null,
        };
        if (expression is not null)
            return new(expression.Split(' '), zone);
        if (!text.StartsWith(EveryWord, StringComparison.Ordinal))
            throw new FormatException($"unrecognized descriptor: {text}");
        return GoDuration.TryParse(text.AsSpan(EveryWord.Length), out var every)
            ? new(every, zone)
            : throw new FormatException($"failed to parse duration {text}: time: invalid duration \"{text[EveryWord.Length..]}\"");
    }

    /// <summary>The values that are meant, a bit each.</summary>
    private readonly record struct Field(ulong Values, bool IsStar)
    {
        public bool Has(int value) => (Values >> value & 1) != 0;

        public static Field Parse(string text, Bounds bounds)
        {
            var all = text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(range => Range(range, bounds)).ToList();
            return new(all.Aggregate(0UL, (values, range) => values | range.Values), all.Any(range => range.IsStar));
        }

        private static Field Range(string text, Bounds bounds)
        {
            var parts = text.Split('/');
            var ends = parts[0].Split('-');
            if (parts.Length > 2)
                throw new FormatException($"too many slashes: {text}");
            var step = parts.Length == 2 ? Number(parts[1], []) : 1;
            var isStar = ends[0] is "*" or "?";
            if (ends.Length > 2 && !isStar)
                throw new FormatException($"too many hyphens: {text}");
            var first = isStar ? bounds.Min : Number(ends[0], bounds.Names, bounds.Min);
            var last = isStar || (ends.Length == 1 && parts.Length == 2) ? bounds.Max : ends.Length == 1 ? first : Number(ends[1], bounds.Names, bounds.Min);
            if (first < bounds.Min)
                throw new FormatException($"beginning of range ({first}) below minimum ({bounds.Min}): {text}");
            if (last > bounds.Max)
                throw new FormatException($"end of range ({last}) above maximum ({bounds.Max}): {text}");
            if (first > last)
                throw new FormatException($"beginning of range ({first}) beyond end of range ({last}): {text}");
            if (step == 0)
                throw new FormatException($"step of range should be a positive number: {text}");
            var values = 0UL;
            for (var value = (long)first; value <= last; value += step)
                values |= 1UL << (int)value;
            return new(values, isStar && step == 1);
        }

        private static int Number(string text, string[] names, int smallest = 0)
        {
            if (Array.FindIndex(names, name => name.Equals(text, StringComparison.OrdinalIgnoreCase)) is var index and >= 0)
                return smallest + index;
            if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
                throw new FormatException($"failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax");
            return number >= 0 ? number : throw new FormatException($"negative number ({number}) not allowed: {text}");
        }
    }
}
