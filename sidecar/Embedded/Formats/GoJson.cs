using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace EmbeddedSidecar.Formats;

/// <summary>
/// JSON as Go's encoding/json writes what it has read into untyped values, which daprd does with values that come over HTTP: numbers through a
/// double, fields sorted, white space gone, &lt; &gt; &amp; and the two Unicode line separators escaped, everything else as it is.
/// </summary>
internal static class GoJson
{
    /// <summary>How deep arrays and objects may be nested; Go's decoder refuses what is deeper.</summary>
    public const int MaxDepth = 10_000;

    private static readonly SearchValues<byte> Space = SearchValues.Create(" \t\r\n"u8);

    private static readonly SearchValues<byte> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(control => (byte)control), (byte)'"', (byte)'\\', (byte)'<', (byte)'>', (byte)'&', 0xE2]);

    /// <summary>What Go may write in another way.</summary>
    private static readonly SearchValues<byte> NotPlain = SearchValues.Create([(byte)'\\', (byte)'<', (byte)'>', (byte)'&', 0xE2]);

    public static JsonDocumentOptions DocumentOptions => new() { MaxDepth = MaxDepth };

    public static JsonReaderOptions ReaderOptions => new() { MaxDepth = MaxDepth };

    /// <summary>The kind of a value as Go's decoder names it where it refuses one.</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => "bool",
        var kind => kind.ToString().ToLowerInvariant(),
    };

    /// <summary>A text as Go reads it: bytes that are no UTF-8, and halves of surrogate pairs, are replaced, not refused.</summary>
    public static string Text(JsonElement text)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Unescaped(JsonMarshal.GetRawUtf8Value(text)[1..^1]);
        }
    }

    /// <summary>As <see cref="Text(JsonElement)"/>.</summary>
    public static string Text(ref readonly Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Unescaped(reader.ValueSpan);
        }
    }

    /// <summary>As <see cref="Text(JsonElement)"/>.</summary>
    public static string Name(JsonProperty field)
    {
        try
        {
            return field.Name;
        }
        catch (InvalidOperationException)
        {
            return Unescaped(JsonMarshal.GetRawUtf8PropertyName(field));
        }
    }

    /// <summary>A field by its exact name.</summary>
    public static bool TryFind(JsonElement json, string name, out JsonElement value)
    {
        try
        {
            return json.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException)
        {
            return Fields(json, field => field.Value).TryGetValue(name, out value);
        }
    }

    /// <summary>A field by its exact name that has a value: null is none, and what is no object has no fields.</summary>
    public static bool TryFindValue(JsonElement json, string name, out JsonElement value)
    {
        value = default;
        return json.ValueKind == JsonValueKind.Object && TryFind(json, name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    /// <summary>As Go finds the field of a struct: by its exact name, else in any case, of which the last one counts. Null is none, and what is no object has no fields.</summary>
    public static bool TryFindField(JsonElement json, string name, out JsonElement value)
    {
        value = default;
        if (json.ValueKind == JsonValueKind.Object && !TryFind(json, name, out value))
            value = json.EnumerateObject().LastOrDefault(field => Name(field).Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
        return value.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null);
    }

    /// <summary>The fields of an object; of a name that comes twice the last one counts.</summary>
    public static Dictionary<string, T> Fields<T>(JsonElement json, Func<JsonProperty, T> read)
    {
        var fields = new Dictionary<string, T>();
        foreach (var field in json.EnumerateObject())
            fields[Name(field)] = read(field);

        return fields;
    }

    /// <summary>
    /// A JSON value as Go writes what it has read with its numbers left as they are: of a name that comes twice the last field counts, escapes and what
    /// is no UTF-8 are gone, and so is what stands behind the value. False where none stands at the beginning.
    /// </summary>
    /// <param name="normal">The same bytes where there is nothing to change; white space, and the order of fields, are not looked at.</param>
    public static bool TryNormalize(ReadOnlyMemory<byte> json, out ReadOnlyMemory<byte> normal)
    {
        normal = json;
        try
        {
            var isPlain = json.Span.IndexOfAny(NotPlain) < 0 && Utf8.IsValid(json.Span);
            if (NamesAreUnique(json.Span) && isPlain)
                return true;
            using var document = JsonDocument.Parse(json, DocumentOptions);
            var written = new ArrayBufferWriter<byte>(json.Length);
            Write(written, document.RootElement, keepNumbers: true);
            normal = written.WrittenMemory;
            return true;
        }
        catch (JsonException)
        {
            return GoJsonSyntax.Describe(json.Span, out var length) is null && length < json.Length && TryNormalize(json[..length], out normal);
        }
    }

    /// <summary>Says no also of large objects, whose names are not compared.</summary>
    /// <exception cref="JsonException">It is not one JSON value.</exception>
    private static bool NamesAreUnique(ReadOnlySpan<byte> json)
    {
        const int Compared = 64;
        var (names, begins, areUnique) = (new List<int>(), new Stack<int>(), true);
        var reader = new Utf8JsonReader(json, ReaderOptions);
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject:
                    begins.Push(names.Count);
                    break;
                case JsonTokenType.EndObject:
                    names.RemoveRange(begins.Peek(), names.Count - begins.Pop());
                    break;
                case JsonTokenType.PropertyName when areUnique:
                    var hash = new HashCode();
                    hash.AddBytes(reader.ValueSpan);
                    var name = hash.ToHashCode();
                    var siblings = CollectionsMarshal.AsSpan(names)[begins.Peek()..];
                    areUnique = siblings.Length < Compared && !siblings.Contains(name);
                    names.Add(name);
                    break;
            }
        }

        return areUnique;
    }

    /// <summary>One JSON value and nothing else.</summary>
    public static bool IsValid(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, ReaderOptions);
            if (!reader.Read())
                return false;
            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>A JSON value with its numbers and texts as they are, but no white space between them.</summary>
    public static byte[] Compact(ReadOnlySpan<byte> value)
    {
        var compact = new byte[value.Length];
        return compact[..Compact(value, compact)];
    }

    /// <summary>As <see cref="Compact(ReadOnlySpan{byte})"/>.</summary>
    public static void WriteCompact(Utf8JsonWriter json, ReadOnlySpan<byte> value)
    {
        if (value.IndexOfAny(Space) < 0)
        {
            json.WriteRawValue(value, skipInputValidation: true);
            return;
        }

        var compact = ArrayPool<byte>.Shared.Rent(value.Length);
        json.WriteRawValue(compact.AsSpan(0, Compact(value, compact)), skipInputValidation: true);
        ArrayPool<byte>.Shared.Return(compact);
    }

    /// <exception cref="JsonException">A number that no double holds; with Go's text.</exception>
    public static byte[] Reencode(JsonElement element)
    {
        var json = new ArrayBufferWriter<byte>(256);
        Write(json, element, keepNumbers: false);
        return json.WrittenSpan.ToArray();
    }

    /// <summary>Keeps what is open itself: a value may be nested deeper than a thread's stack allows.</summary>
    private static void Write(ArrayBufferWriter<byte> json, JsonElement element, bool keepNumbers)
    {
        var open = new Stack<(IEnumerator<(string? Name, JsonElement Value)> Items, byte Close)>();
        Begin(element);
        for (var isFirst = true; open.TryPeek(out var container);)
        {
            if (!container.Items.MoveNext())
            {
                json.Write([container.Close]);
                open.Pop();
                isFirst = false;
                continue;
            }

            json.Write(isFirst ? default : ","u8);
            var (name, value) = container.Items.Current;
            if (name is not null)
            {
                WriteString(json, name);
                json.Write(":"u8);
            }

            isFirst = Begin(value);
        }

        bool Begin(JsonElement value)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.Object:
                    json.Write("{"u8);
                    open.Push((Sorted(value).GetEnumerator(), (byte)'}'));
                    return true;
                case JsonValueKind.Array:
                    json.Write("["u8);
                    open.Push((value.EnumerateArray().Select(item => ((string?)null, item)).GetEnumerator(), (byte)']'));
                    return true;
                default:
                    WriteScalar(json, value, keepNumbers);
                    return false;
            }
        }
    }

    private static void WriteScalar(ArrayBufferWriter<byte> json, JsonElement value, bool keepNumbers)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Number when keepNumbers:
                json.Write(JsonMarshal.GetRawUtf8Value(value));
                break;
            case JsonValueKind.Number when value.GetDouble() is var number:
                json.Write(double.IsFinite(number)
                    ? Encoding.ASCII.GetBytes(Number(number))
                    : throw new JsonException($"json: cannot unmarshal number {value.GetRawText()} into Go value of type float64"));
                break;
            case JsonValueKind.String:
                WriteString(json, Text(value));
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

    public static void WriteString(IBufferWriter<byte> json, string text) => WriteString(json, Encoding.UTF8.GetBytes(text));

    /// <summary>A text that need not be UTF-8: what is none is written as an escape.</summary>
    public static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> text)
    {
        if (text.IndexOfAny(Escaped) < 0 && Utf8.IsValid(text))
        {
            json.WriteStringValue(text);
            return;
        }

        var written = new ArrayBufferWriter<byte>(text.Length + 64);
        WriteString(written, text);
        json.WriteRawValue(written.WrittenSpan, skipInputValidation: true);
    }

    private static void WriteString(IBufferWriter<byte> json, ReadOnlySpan<byte> text)
    {
        json.Write("\""u8);
        for (var rest = text; !rest.IsEmpty;)
        {
            var valid = ValidLength(rest);
            WriteValid(json, rest[..valid]);
            rest = rest[valid..];
            if (rest.IsEmpty)
                break;
            json.Write("\\ufffd"u8);
            rest = rest[1..];
        }

        json.Write("\""u8);
    }

    private static int ValidLength(ReadOnlySpan<byte> text)
    {
        if (Utf8.IsValid(text))
            return text.Length;
        var length = 0;
        while (Rune.DecodeFromUtf8(text[length..], out _, out var read) == OperationStatus.Done)
            length += read;
        return length;
    }

    private static void WriteValid(IBufferWriter<byte> json, ReadOnlySpan<byte> rest)
    {
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

    private static string Unescaped(ReadOnlySpan<byte> text)
    {
        var from = Encoding.UTF8.GetString(text);
        var to = new StringBuilder(from.Length);
        for (var i = 0; i < from.Length; i++)
        {
            if (from[i] != '\\')
            {
                to.Append(from[i]);
                continue;
            }

            to.Append(from[++i] switch
            {
                'b' => '\b',
                'f' => '\f',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => (char)ushort.Parse(from.AsSpan(i + 1, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                var other => other,
            });
            if (from[i] == 'u')
                i += 4;
        }

        // A text that leaves has no halves: they would be replaced anyway, by each encoder in its own way.
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(to.ToString()));
    }

    private static int Compact(ReadOnlySpan<byte> value, Span<byte> into)
    {
        var (length, inText) = (0, false);
        for (var i = 0; i < value.Length; i++)
        {
            var current = value[i];
            if (inText && current == '\\')
                into[length++] = value[i++];
            else if (current == '"')
                inText = !inText;
            else if (!inText && current is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
                continue;
            into[length++] = value[i];
        }

        return length;
    }

    /// <summary>Of a name that comes twice the last one counts, as in a Go map.</summary>
    private static IEnumerable<(string? Name, JsonElement Value)> Sorted(JsonElement element) =>
        Fields(element, field => field.Value).OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => ((string?)field.Key, field.Value));

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
