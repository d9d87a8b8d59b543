namespace DaprOrders.Console.Topology;

/// <summary>Where things stand in a picture: nodes spread over its height, and boxes one below the other, each with a line for what comes in. All in its units.</summary>
internal static class PictureRows
{
    private const int Margin = 3;
    private const int Gap = 12;
    private const int Head = 32;
    private const int Line = 19;

    public static int BoxHeight(int lines) => Head + (lines * Line);

    /// <summary>The middle of a line, from the top of its box.</summary>
    public static int LineY(int line) => Head + 6 + (line * Line);

    public static int Height(int rows, int rowHeight, IEnumerable<int> boxes) => Math.Max(rows * rowHeight, boxes.Sum(lines => BoxHeight(lines) + Gap)) + (2 * Margin);

    /// <summary>The middle of one of the rows that share a picture's height.</summary>
    public static int RowY(int row, int rows, int height) => (int)((row + 0.5) * (height - (2 * Margin)) / Math.Max(1, rows)) + Margin;

    /// <summary>The boxes, each with its top.</summary>
    public static IEnumerable<(T Box, int Top)> Stack<T>(IEnumerable<T> boxes, Func<T, int> linesOf)
    {
        var top = Margin;
        foreach (var box in boxes)
        {
            yield return (box, top);
            top += BoxHeight(linesOf(box)) + Gap;
        }
    }
}
