using System.Globalization;
using System.Text.Json;
using EmbeddedSidecar.Formats;
using Npgsql;
using NpgsqlTypes;

namespace EmbeddedSidecar.Components.Bindings.PostgreSql;

/// <summary>The parameters of a statement, given as JSON; they go as text, and the server finds their types.</summary>
internal static class PostgresParameters
{
    public const string Field = "params";

    /// <exception cref="BindingException">It is no list.</exception>
    public static IReadOnlyList<NpgsqlParameter> Read(string text)
    {
        if (text.Length == 0)
            return [];
        try
        {
            using var json = JsonDocument.Parse(text);
            return json.RootElement.ValueKind switch
            {
                JsonValueKind.Array => [.. json.RootElement.EnumerateArray().Select(value => new NpgsqlParameter
                {
                    NpgsqlDbType = NpgsqlDbType.Unknown,
                    Value = (object?)Text(value) ?? DBNull.Value,
                })],
                JsonValueKind.Null => [],
                _ => throw new JsonException($"json: cannot unmarshal {GoJson.Kind(json.RootElement)} into Go value of type []interface {{}}"),
            };
        }
        catch (JsonException e)
        {
            throw new BindingException($"invalid metadata property {Field}: failed to unserialize into an array: {e.Message}", e);
        }
    }

    private static string? Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.String => GoJson.Text(value),
        // 1.0 and 1e3 are whole numbers to Go, which a column of whole numbers takes.
        JsonValueKind.Number when value.TryGetDecimal(out var number) && number == decimal.Truncate(number) =>
            decimal.Truncate(number).ToString(CultureInfo.InvariantCulture),
        JsonValueKind.Array => $"{{{string.Join(',', value.EnumerateArray().Select(Element))}}}",
        _ => value.GetRawText(),
    };

    private static string Element(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "NULL",
        JsonValueKind.Array => Text(value)!,
        _ => $"\"{Text(value)!.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"",
    };
}
