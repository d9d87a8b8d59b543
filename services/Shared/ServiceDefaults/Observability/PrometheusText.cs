using System.Globalization;
using System.Text.RegularExpressions;

namespace DaprOrders.ServiceDefaults.Observability;

/// <summary>A value of one series.</summary>
public readonly record struct MetricSample(string Name, IReadOnlyDictionary<string, string> Labels, double Value);

/// <summary>Reads Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats), as far as counts are concerned.</summary>
public static partial class PrometheusText
{
    /// <param name="exposition">What a metrics port answers.</param>
    /// <param name="prefix">Of the names that are wanted.</param>
    public static IEnumerable<MetricSample> Read(string exposition, string prefix)
    {
        foreach (Match sample in Sample().Matches(exposition))
        {
            if (sample.Groups["name"].ValueSpan.StartsWith(prefix, StringComparison.Ordinal)
                && double.TryParse(sample.Groups["value"].ValueSpan, NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
            {
                yield return new(
                    sample.Groups["name"].Value,
                    Label().Matches(sample.Groups["labels"].Value).ToDictionary(label => label.Groups["name"].Value, label => label.Groups["value"].Value),
                    value);
            }
        }
    }

    [GeneratedRegex("""^(?<name>\w+)(\{(?<labels>.*)\})? (?<value>[-+.\w]+)""", RegexOptions.Multiline)]
    private static partial Regex Sample();

    [GeneratedRegex("(?<name>\\w+)=\"(?<value>[^\"]*)\"")]
    private static partial Regex Label();
}
