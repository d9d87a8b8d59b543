using System.Buffers;
using System.Globalization;
using System.Text;

namespace EmbeddedSidecar.Formats;

/// <summary>
/// A length of time as Go writes it (<c>time.ParseDuration</c>): <c>1h30m</c>, <c>1.5s</c>, <c>-20ms</c>, <c>0</c>. The .NET Dapr SDK's
/// <c>0h0m1s0ms</c> is the same form. Nanoseconds are cut to the 100 ns of a <see cref="TimeSpan"/>.
/// </summary>
internal static class GoDuration
{
    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = default;
        var negative = text is ['-', ..];
        if (text is ['-' or '+', ..])
            text = text[1..];
        if (text is "0")
            return true;
        if (text.IsEmpty)
            return false;

        var ticks = 0m;
        while (!text.IsEmpty && ticks <= long.MaxValue)
        {
            var digits = text.IndexOfAnyExcept(NumberCharacters);
            if (digits <= 0
                || !decimal.TryParse(text[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var amount))
                return false;
            text = text[digits..];
            var end = text.IndexOfAny(NumberCharacters) is var next and >= 0 ? next : text.Length;
            if (TicksPer(text[..end]) is not { } unit || amount > long.MaxValue / unit)
                return false;
            ticks += amount * unit;
            text = text[end..];
        }
        if (ticks > long.MaxValue)
            return false;
        duration = new TimeSpan((long)(negative ? -ticks : ticks));
        return true;
    }

    /// <summary>As Go's <c>Duration.String</c>: <c>1h0m0s</c>, <c>1.5s</c>, <c>200ms</c>, <c>0s</c>.</summary>
    public static string Format(TimeSpan duration)
    {
        if (duration == TimeSpan.Zero)
            return "0s";
        var text = new StringBuilder();
        if (duration < TimeSpan.Zero)
            text.Append('-');
        var rest = (decimal)Math.Abs((double)duration.Ticks);
        if (rest < TimeSpan.TicksPerMillisecond)
            return text.Append(CultureInfo.InvariantCulture, $"{rest / TimeSpan.TicksPerMicrosecond:0.#}µs").ToString();
        if (rest < TimeSpan.TicksPerSecond)
            return text.Append(CultureInfo.InvariantCulture, $"{rest / TimeSpan.TicksPerMillisecond:0.####}ms").ToString();
        var hours = (long)(rest / TimeSpan.TicksPerHour);
        var minutes = (long)(rest % TimeSpan.TicksPerHour / TimeSpan.TicksPerMinute);
        if (hours > 0)
            text.Append(CultureInfo.InvariantCulture, $"{hours}h");
        if (hours > 0 || minutes > 0)
            text.Append(CultureInfo.InvariantCulture, $"{minutes}m");
        return text.Append(CultureInfo.InvariantCulture, $"{rest % TimeSpan.TicksPerMinute / TimeSpan.TicksPerSecond:0.#######}s").ToString();
    }

    private static decimal? TicksPer(ReadOnlySpan<char> unit) => unit switch
    {
        "ns" => 0.01m,
        "us" or "µs" or "μs" => TimeSpan.TicksPerMicrosecond,
        "ms" => TimeSpan.TicksPerMillisecond,
        "s" => TimeSpan.TicksPerSecond,
        "m" => TimeSpan.TicksPerMinute,
        "h" => TimeSpan.TicksPerHour,
        _ => null,
    };
}
