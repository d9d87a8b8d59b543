using System.Globalization;
using System.Runtime.InteropServices;
using Spectre.Console;

namespace DaprOrders.Bench.Measuring;

/// <summary>Results on the console, tables as Markdown.</summary>
internal static class Report
{
    private const int Width = 180;

    private static readonly IAnsiConsole Output = Plain();

    public static void Machine() => Line(string.Create(
        CultureInfo.InvariantCulture,
        $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} cores"));

    public static void Line(string text = "") => Output.WriteLine(text);

    public static void Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        var table = new Table().MarkdownBorder();
        for (var i = 0; i < columns.Count; i++)
            table.AddColumn(new TableColumn(Markup.Escape(columns[i])) { Alignment = i == 0 ? Justify.Left : Justify.Right, NoWrap = true });
        foreach (var row in rows)
            table.AddRow([.. row.Select(Markup.Escape)]);
        Output.Write(table);
        Line();
    }

    /// <summary>A figure with about three digits that mean something.</summary>
    public static string Figure(double value) => value switch
    {
        double.NaN => "–",
        >= 100 => value.ToString("N0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("N1", CultureInfo.InvariantCulture),
        _ => value.ToString("N2", CultureInfo.InvariantCulture),
    };

    public static string Ratio(double value, double baseline) => $"{Figure(value / baseline)} x";

    // Lines that are not wrapped at 80 characters when the output goes into a file.
    private static IAnsiConsole Plain()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Interactive = InteractionSupport.No });
        console.Profile.Width = Width;
        return console;
    }
}
