using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace DaprOrders.Sidecar.Formats;

/// <summary>
/// JSON as Go's encoding/json writes what it has read into untyped values, which daprd does with values that come over HTTP: numbers through a
/// double, fields sorted, white space gone, &lt; &gt; &amp; and the two Unicode line separators escaped, everything else as it is.
/// </summary>
internal static class GoJson
{
    private static readonly SearchValues<byte> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(control => (byte)control), (byte)'"', (byte)'\\', (byte)'<', (byte)'>', (byte)'&', 0xE2]);

    /// <summary>The kind of a value as Go's decoder names it where it refuses one.</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => "bool",
        var kind => kind.ToString().ToLowerInvariant(),
    };

    public static byte[] Reencode(JsonElement element)
    {
        var json = new ArrayBufferWriter<byte>(256);
        Write(json, element);
        return json.WrittenSpan.ToArray();
    }

    public static void Write(IBufferWriter<byte> json, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                json.Write("{"u8);
                var isFirst = true;
                foreach (var property in Sorted(element))
                {
                    json.Write(isFirst ? default : ","u8);
                    WriteString(json, property.Name);
                    json.Write(":"u8);
                    Write(json, property.Value);
                    isFirst = false;
                }

                json.Write("}"u8);
                break;
            case JsonValueKind.Array:
                json.Write("["u8);
                var isFirstItem = true;
                foreach (var item in element.EnumerateArray())
                {
                    json.Write(isFirstItem ? default : ","u8);
                    Write(json, item);
                    isFirstItem = false;
                }

                json.Write("]"u8);
                break;
            case JsonValueKind.Number:
                json.Write(Encoding.ASCII.GetBytes(Number(element.GetDouble())));
                break;
            case JsonValueKind.String:
                WriteString(json, element.GetString()!);
                break;
            case JsonValueKind.True:
                json.Write("true"u8);
                break;
            case JsonValueKind.False:
                json.Write("false"u8);
                break;
            default:
                json.Write("null"u8);
                break;
        }
    }

    public static void WriteString(IBufferWriter<byte> json, string text)
    {
        json.Write("\""u8);
        var rest = Encoding.UTF8.GetBytes(text).AsSpan();
        while (!rest.IsEmpty)
        {
            var plain = rest.IndexOfAny(Escaped);
            if (plain < 0)
            {
                json.Write(rest);
                break;
            }

            json.Write(rest[..plain]);
            rest = rest[plain..];
            rest = rest[WriteEscaped(json, rest)..];
        }

        json.Write("\""u8);
    }

    /// <summary>A double as Go's JSON writes it: plain from 1e-6 up to 1e21, with an exponent (1e-7, 1e+21) outside.</summary>
    public static string Number(double value)
    {
        var magnitude = Math.Abs(value);
        var shortest = value.ToString("R", CultureInfo.InvariantCulture);
        var exponent = shortest.IndexOf('E', StringComparison.Ordinal);
        if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21))
        {
            var power = int.Parse(shortest.AsSpan(exponent + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            return $"{shortest[..exponent]}e{(power < 0 ? '-' : '+')}{Math.Abs(power).ToString(CultureInfo.InvariantCulture)}";
        }

        return exponent < 0
            ? shortest
            : decimal.Parse(shortest, NumberStyles.Float, CultureInfo.InvariantCulture).ToString("0.#############################", CultureInfo.InvariantCulture);
    }

    /// <summary>Of a name that comes twice the last one counts, as in a Go map.</summary>
    private static SortedDictionary<string, JsonProperty>.ValueCollection Sorted(JsonElement element)
    {
        var properties = new SortedDictionary<string, JsonProperty>(StringComparer.Ordinal);
        foreach (var property in element.EnumerateObject())
            properties[property.Name] = property;

        return properties.Values;
    }

    /// <summary>Writes the first character of the text, which may need an escape, and tells its length in bytes.</summary>
    private static int WriteEscaped(IBufferWriter<byte> json, ReadOnlySpan<byte> text)
    {
        if (text[0] == 0xE2)
        {
            var isSeparator = text.Length >= 3 && text[1] == 0x80 && text[2] is 0xA8 or 0xA9;
            json.Write(!isSeparator ? text[..1] : text[2] == 0xA8 ? "\\u2028"u8 : "\\u2029"u8);
            return isSeparator ? 3 : 1;
        }

        json.Write(text[0] switch
        {
            (byte)'"' => "\\\""u8,
            (byte)'\\' => "\\\\"u8,
            (byte)'\n' => "\\n"u8,
            (byte)'\r' => "\\r"u8,
            (byte)'\t' => "\\t"u8,
            (byte)'\b' => "\\b"u8,
            (byte)'\f' => "\\f"u8,
            _ => Encoding.ASCII.GetBytes($"\\u{text[0]:x4}"),
        });
        return 1;
    }
}
