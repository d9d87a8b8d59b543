using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace DaprOrders.Sidecar.Api;

/// <summary>
/// JSON as Go's encoding/json writes what it has read into untyped values, which daprd does with values that come over HTTP: numbers through a
/// double, fields sorted, white space gone, &lt; &gt; &amp; and the two Unicode line separators escaped, everything else as it is.
/// </summary>
public static class GoJson
{
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = new GoEncoder(), SkipValidation = true };

    public static byte[] Reencode(JsonElement element)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer, WriterOptions))
        {
            Write(writer, element);
        }

        return buffer.WrittenSpan.ToArray();
    }

    public static void Write(Utf8JsonWriter writer, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var property in Sorted(element))
                {
                    writer.WritePropertyName(property.Name);
                    Write(writer, property.Value);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray())
                {
                    Write(writer, item);
                }

                writer.WriteEndArray();
                break;
            case JsonValueKind.Number:
                writer.WriteRawValue(Number(element.GetDouble()), skipInputValidation: true);
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(element.GetString());
                break;
            case JsonValueKind.Undefined:
                writer.WriteNullValue();
                break;
            default:
                element.WriteTo(writer);
                break;
        }
    }

    /// <summary>A double as Go's JSON writes it: plain from 1e-6 up to 1e21, with an exponent (e-07, e+21) outside.</summary>
    public static string Number(double value)
    {
        var magnitude = Math.Abs(value);
        var shortest = value.ToString("E16", CultureInfo.InvariantCulture);
        if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21))
        {
            shortest = value.ToString("R", CultureInfo.InvariantCulture);
            var exponent = shortest.IndexOf('E', StringComparison.Ordinal);
            var power = int.Parse(shortest.AsSpan(exponent + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            return $"{shortest[..exponent]}e{(power < 0 ? '-' : '+')}{Math.Abs(power).ToString("00", CultureInfo.InvariantCulture).TrimStart('0')}";
        }

        shortest = value.ToString("R", CultureInfo.InvariantCulture);
        return shortest.Contains('E', StringComparison.Ordinal)
            ? decimal.Parse(shortest, NumberStyles.Float, CultureInfo.InvariantCulture).ToString("0.#############################", CultureInfo.InvariantCulture)
            : shortest;
    }

    private static IEnumerable<JsonProperty> Sorted(JsonElement element)
    {
        // Of a name that comes twice the last one counts, as in a Go map.
        var properties = new SortedDictionary<string, JsonProperty>(StringComparer.Ordinal);
        foreach (var property in element.EnumerateObject())
        {
            properties[property.Name] = property;
        }

        return properties.Values;
    }

    private sealed class GoEncoder : JavaScriptEncoder
    {
        public override int MaxOutputCharactersPerInputCharacter => 6;

        public override unsafe int FindFirstCharacterToEncode(char* text, int textLength)
        {
            for (var i = 0; i < textLength; i++)
            {
                if (WillEncode(text[i]))
                {
                    return i;
                }
            }

            return -1;
        }

        public override bool WillEncode(int unicodeScalar) =>
            unicodeScalar is < 0x20 or '"' or '\\' or '<' or '>' or '&' or 0x2028 or 0x2029;

        public override unsafe bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
        {
            var text = unicodeScalar switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                _ => $"\\u{unicodeScalar:x4}",
            };
            numberOfCharactersWritten = text.Length;
            return text.AsSpan().TryCopyTo(new Span<char>(buffer, bufferLength));
        }
    }
}
