using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace EmbeddedSidecar.Formats;

/// <summary>Reads bodies that daprd decodes with protobuf's own JSON (protojson), whose texts it answers. Names of fields are exact, and null is no value.</summary>
internal static class ProtoJson
{
    /// <summary>Throws with protojson's text where it knows one.</summary>
    /// <exception cref="JsonException">What is no JSON object.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body, GoJson.DocumentOptions);
        }
        catch (JsonException e)
        {
            throw new JsonException($"proto: {ProtoJsonSyntax.Describe(body.Span) ?? e.Message}", e);
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
            return document;
        using (document)
            throw new JsonException($"proto: syntax error {Position(body, document.RootElement)}: unexpected token {Token(document.RootElement)}");
    }

    /// <summary>The value of a field by its name in JSON, or in the .proto file.</summary>
    public static bool TryFind(JsonElement message, string name, string protoName, out JsonElement value) =>
        GoJson.TryFindValue(message, name, out value) || GoJson.TryFindValue(message, protoName, out value);

    /// <exception cref="JsonException">With protojson's text.</exception>
    public static string Text(ReadOnlyMemory<byte> body, JsonElement value, string field) =>
        value.ValueKind == JsonValueKind.String ? GoJson.Text(value) : throw Invalid(body, value, "string", field);

    /// <exception cref="JsonException">With protojson's text.</exception>
    public static bool Flag(ReadOnlyMemory<byte> body, JsonElement value, string field) =>
        value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Invalid(body, value, "bool", field);

    /// <summary>Also in quotes, and as 3.0.</summary>
    /// <exception cref="JsonException">With protojson's text.</exception>
    public static uint Number(ReadOnlyMemory<byte> body, JsonElement value, string field) =>
        value.ValueKind is JsonValueKind.Number or JsonValueKind.String
        && decimal.TryParse(value.ToString(), NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var number)
        && number is >= 0 and <= uint.MaxValue && number == decimal.Truncate(number)
            ? (uint)number
            : throw Invalid(body, value, "uint32", field);

    public static JsonException Invalid(ReadOnlyMemory<byte> body, JsonElement value, string type, string field) =>
        new($"proto: {Position(body, value)}: invalid value for {type} field {field}: {Token(value)}");

    private static string Token(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{",
        JsonValueKind.Array => "[",
        _ => value.GetRawText(),
    };

    private static string Position(ReadOnlyMemory<byte> body, JsonElement value)
    {
        body.Span.Overlaps(JsonMarshal.GetRawUtf8Value(value), out var offset);
        return ProtoJsonSyntax.Position(body.Span, offset);
    }
}
