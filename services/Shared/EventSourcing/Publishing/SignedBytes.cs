using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>
/// What a signature covers, as bytes that mean one event only, and the same ones at both ends: a sidecar writes the JSON anew on the way
/// (sorted members, other escapes, no white space; recorded of daprd), a broker may write numbers in another form. So every field has its
/// length before it, members are sorted, texts are what they say, and numbers are what they are worth.
/// </summary>
internal static class SignedBytes
{
    private const string Form = "daprorders event 1";

    // Longer exponents are no number that anybody computes with; they are signed as they are written.
    private const int LongestExponent = 9;

    public static byte[] Of(string source, string id, RecordedEvent recorded)
    {
        var bytes = new ArrayBufferWriter<byte>(1024);
        Write(bytes, Form);
        Write(bytes, id);
        Write(bytes, source);
        Write(bytes, recorded.Type);
        Write(bytes, recorded.Stream);
        Write(bytes, recorded.Version);
        Write(bytes, recorded.SchemaVersion);
        Write(bytes, recorded.OccurredAt.UtcTicks);
        Write(bytes, recorded.Data);
        return bytes.WrittenSpan.ToArray();
    }

    private static void Write(ArrayBufferWriter<byte> bytes, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                // Of members of one name the last counts, as for whoever reads it.
                var members = new SortedDictionary<string, JsonElement>(StringComparer.Ordinal);
                foreach (var member in value.EnumerateObject())
                    members[member.Name] = member.Value;
                Write(bytes, '{', members.Count);
                foreach (var (name, member) in members)
                {
                    Write(bytes, name);
                    Write(bytes, member);
                }

                break;
            case JsonValueKind.Array:
                Write(bytes, '[', value.GetArrayLength());
                foreach (var item in value.EnumerateArray())
                    Write(bytes, item);
                break;
            case JsonValueKind.String:
                Write(bytes, '"', 0);
                Write(bytes, value.GetString()!);
                break;
            case JsonValueKind.Number:
                Write(bytes, '0', 0);
                Write(bytes, WorthOf(value.GetRawText()));
                break;
            default:
                Write(bytes, value.ValueKind switch { JsonValueKind.True => 't', JsonValueKind.False => 'f', _ => 'n' }, 0);
                break;
        }
    }

    /// <summary>The same for all ways to write one number: <c>-12.50</c> and <c>-125e-1</c> are <c>-125e-1</c>.</summary>
    private static string WorthOf(string number)
    {
        var (mantissa, exponent) = number.IndexOfAny(['e', 'E']) is var at and >= 0 ? (number[..at], number[(at + 1)..]) : (number, "0");
        if (exponent.TrimStart('+', '-').Length > LongestExponent)
            return number;

        var sign = mantissa.StartsWith('-') ? "-" : "";
        var parts = mantissa.TrimStart('-').Split('.');
        var digits = string.Concat(parts).TrimStart('0');
        var significant = digits.TrimEnd('0');
        var scale = long.Parse(exponent, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)
            - (parts.Length > 1 ? parts[1].Length : 0)
            + (digits.Length - significant.Length);
        return significant.Length == 0 ? "0" : string.Create(CultureInfo.InvariantCulture, $"{sign}{significant}e{scale}");
    }

    private static void Write(ArrayBufferWriter<byte> bytes, char kind, int count)
    {
        var span = bytes.GetSpan(5);
        span[0] = (byte)kind;
        BinaryPrimitives.WriteInt32BigEndian(span[1..], count);
        bytes.Advance(5);
    }

    private static void Write(ArrayBufferWriter<byte> bytes, long number)
    {
        BinaryPrimitives.WriteInt64BigEndian(bytes.GetSpan(8), number);
        bytes.Advance(8);
    }

    private static void Write(ArrayBufferWriter<byte> bytes, string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        BinaryPrimitives.WriteInt32BigEndian(bytes.GetSpan(4), length);
        bytes.Advance(4);
        Encoding.UTF8.GetBytes(text, bytes.GetSpan(length));
        bytes.Advance(length);
    }
}
