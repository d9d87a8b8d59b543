using System.Globalization;
using System.Text;
using System.Text.Json;
using Npgsql.PostgresTypes;

namespace EmbeddedSidecar.Components.Bindings.PostgreSql;

/// <summary>Writes values that PostgreSQL gives as text in the JSON that Go's driver makes of them.</summary>
internal static class PostgresValues
{
    public static void Write(Utf8JsonWriter json, PostgresType type, string? text)
    {
        if (text is null)
            json.WriteNullValue();
        else if (type is PostgresArrayType array)
            WriteArray(json, array.Element, text);
        else
            WriteOne(json, type is PostgresDomainType domain ? domain.BaseType.InternalName : type.InternalName, text);
    }

    private static void WriteOne(Utf8JsonWriter json, string type, string text)
    {
        switch (type)
        {
            case "bool":
                json.WriteBooleanValue(text == "t");
                break;
            case "int2" or "int4" or "int8" or "oid" or "float4" or "float8" or "numeric" when IsNumber(text):
                json.WriteRawValue(text);
                break;
            case "json" or "jsonb":
                json.WriteRawValue(text);
                break;
            case "bytea":
                json.WriteBase64StringValue(Convert.FromHexString(text.AsSpan(2)));
                break;
            case "uuid":
                json.WriteStartArray();
                foreach (var part in Convert.FromHexString(text.Replace("-", "", StringComparison.Ordinal)))
                    json.WriteNumberValue(part);
                json.WriteEndArray();
                break;
            case "date" or "timestamp" when Time(text, DateTimeStyles.AssumeUniversal) is { } time:
                json.WriteStringValue(Text(time));
                break;
            case "timestamptz" when Time(text, DateTimeStyles.None) is { } time:
                json.WriteStringValue(Text(time.ToLocalTime()));
                break;
            default:
                json.WriteStringValue(text);
                break;
        }
    }

    /// <summary>Neither NaN nor Infinity.</summary>
    private static bool IsNumber(string text) => char.IsAsciiDigit(text[^1]);

    /// <summary>Null for what .NET knows no time for: infinity, and what is before Christ.</summary>
    private static DateTimeOffset? Time(string text, DateTimeStyles styles) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, styles, out var time) ? time : null;

    private static string Text(DateTimeOffset time) =>
        time.ToString(time.Offset == TimeSpan.Zero ? "yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'" : "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFzzz", CultureInfo.InvariantCulture);

    /// <summary><c>{1,NULL,"with, comma",{2}}</c>; of another lower bound than 1 it begins with <c>[0:1]=</c>.</summary>
    private static void WriteArray(Utf8JsonWriter json, PostgresType element, string text)
    {
        var at = text.IndexOf('{', StringComparison.Ordinal);
        while (at < text.Length)
        {
            switch (text[at])
            {
                case '{':
                    json.WriteStartArray();
                    at++;
                    break;
                case '}':
                    json.WriteEndArray();
                    at++;
                    break;
                case ',':
                    at++;
                    break;
                case '"':
                    Write(json, element, Quoted(text, ref at));
                    break;
                default:
                    var end = text.AsSpan(at).IndexOfAny(',', '}');
                    var value = text.Substring(at, end);
                    Write(json, element, value == "NULL" ? null : value);
                    at += end;
                    break;
            }
        }
    }

    private static string Quoted(string text, ref int at)
    {
        var value = new StringBuilder();
        for (at++; text[at] != '"'; at++)
        {
            if (text[at] == '\\')
                at++;
            value.Append(text[at]);
        }

        at++;
        return value.ToString();
    }
}
