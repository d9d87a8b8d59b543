using System.Globalization;
using System.Text;

namespace DaprOrders.Bench.Orders;

/// <summary>Rate across, percentiles up in a logarithmic scale, in colours that read on light and on dark.</summary>
internal static class RatePlot
{
    private const int Width = 640;
    private const int Height = 320;
    private const int Margin = 56;

    private static readonly (string Name, double Part, string Colour)[] Curves = [("p99", 0.99, "#d9534f"), ("p90", 0.9, "#c08a2b"), ("p50", 0.5, "#3b8ea5")];

    public static string Svg(IEnumerable<FlowRun> measured)
    {
        var runs = measured.OrderBy(run => run.ShippedPerSecond).ToList();
        var most = runs[^1].ShippedPerSecond * 1.1;
        var (low, high) = (1, (int)Math.Ceiling(Math.Log10(Math.Max(1_000, runs.Max(run => run.Journeys.Percentile(0.99))))));
        var svg = new StringBuilder();
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="12" role="img" aria-label="Time from POST to shipped against shipped orders a second">""");
        Add($"""<g stroke="#888" fill="none"><path d="M{Margin} {Margin / 2}V{Height - Margin}H{Width - (Margin / 2)}"/></g>""");
        for (var power = low; power <= high; power++)
        {
            var label = power < 3 ? $"{Math.Pow(10, power)} ms" : $"{Math.Pow(10, power - 3)} s";
            Add($"""<path d="M{Margin} {Y(Math.Pow(10, power))}H{Width - (Margin / 2)}" stroke="#888" stroke-opacity=".3"/><text x="{Margin - 6}" y="{Y(Math.Pow(10, power)) + 4}" text-anchor="end" fill="#888">{label}</text>""");
        }

        foreach (var run in runs)
            Add($"""<text x="{X(run)}" y="{Height - Margin + 16}" text-anchor="middle" fill="#888">{run.ShippedPerSecond:0}</text>""");
        Add($"""<text x="{Width / 2}" y="{Height - 12}" text-anchor="middle" fill="#888">shipped orders a second</text>""");
        foreach (var (name, part, colour) in Curves)
        {
            var points = string.Join(' ', runs.Select(run => string.Create(CultureInfo.InvariantCulture, $"{X(run)},{Y(run.Journeys.Percentile(part))}")));
            Add($"""<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/><text x="{X(runs[^1]) + 6}" y="{Y(runs[^1].Journeys.Percentile(part)) + 4}" fill="{colour}">{name}</text>""");
        }

        svg.AppendLine("</svg>");
        return svg.ToString();

        double X(FlowRun run) => Math.Round(Margin + (run.ShippedPerSecond / most * (Width - (Margin * 1.5))), 1);

        double Y(double milliseconds) => Math.Round(
            Height - Margin - ((Math.Log10(Math.Max(10, milliseconds)) - low) / (high - low) * (Height - (Margin * 1.5))), 1);

        void Add(FormattableString line) => svg.AppendLine(FormattableString.Invariant(line));
    }
}
