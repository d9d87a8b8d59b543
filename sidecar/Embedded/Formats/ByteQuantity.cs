using System.Globalization;

namespace EmbeddedSidecar.Formats;

/// <summary>A number of bytes as a Kubernetes quantity: <c>4Mi</c>, <c>16M</c>, <c>1048576</c>.</summary>
internal static class ByteQuantity
{
    public static bool TryParse(string text, out long bytes)
    {
        var digits = text.TrimEnd('K', 'k', 'M', 'G', 'i');
        var unit = text[digits.Length..] switch { "" => 1L, "k" => 1000, "M" => 1_000_000, "G" => 1_000_000_000, "Ki" => 1 << 10, "Mi" => 1 << 20, "Gi" => 1 << 30, _ => 0 };
        bytes = 0;
        if (unit == 0 || !long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > long.MaxValue / unit)
            return false;
        bytes = number * unit;
        return true;
    }
}
