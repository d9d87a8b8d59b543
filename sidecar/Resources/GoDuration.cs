using System.Globalization;
using System.Text.RegularExpressions;

namespace DaprOrders.Sidecar.Resources;

/// <summary>Durations as Go, and so Dapr's files, write them: <c>1h2m3.5s</c>, <c>500ms</c>.</summary>
public static partial class GoDuration
{
    /// <summary>Reads a Go duration. A bare whole number counts as milliseconds, as Dapr's resiliency and components take it.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var milliseconds))
            return TryFromNanoseconds(milliseconds * 1e6, out duration);

        duration = default;
        var match = Pattern().Match(text);
        if (!match.Success)
            return false;

        var nanoseconds = 0d;
        for (var i = 0; i < match.Groups["number"].Captures.Count; i++)
        {
            var number = double.Parse(match.Groups["number"].Captures[i].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
            nanoseconds += number * NanosecondsOf(match.Groups["unit"].Captures[i].Value);
        }

        return TryFromNanoseconds(match.Groups["sign"].Value == "-" ? -nanoseconds : nanoseconds, out duration);
    }

    private static bool TryFromNanoseconds(double nanoseconds, out TimeSpan duration)
    {
        // Go counts nanoseconds in 64 bits: about 292 years.
        var inRange = Math.Abs(nanoseconds) < long.MaxValue;
        duration = inRange ? TimeSpan.FromTicks((long)(nanoseconds / TimeSpan.NanosecondsPerTick)) : default;
        return inRange;
    }

    private static double NanosecondsOf(string unit) => unit switch
    {
        "ns" => 1,
        "us" or "µs" or "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        _ => 3600e9,
    };

    [GeneratedRegex(@"^(?<sign>[+-]?)(?:(?<number>\d+(?:\.\d*)?|\.\d+)(?<unit>ns|us|µs|μs|ms|s|m|h))+$", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
