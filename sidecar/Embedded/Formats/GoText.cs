using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;

namespace EmbeddedSidecar.Formats;

/// <summary>Texts inside daprd's messages.</summary>
internal static class GoText
{
    /// <summary>A JSON value as Go's <c>%v</c> shows what was decoded from it: <c>map[a:1 b:[x y]]</c>.</summary>
    /// <param name="json">With its fields sorted.</param>
    public static string OfJson(ReadOnlySpan<byte> json)
    {
        var text = new StringBuilder(json.Length);
        var reader = new Utf8JsonReader(json, GoJson.ReaderOptions);
        // A text may end like the begin of a list, so what stands before is not read off the text.
        for (var isFirst = true; reader.Read();)
        {
            var isEnd = reader.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray;
            if (!isFirst && !isEnd)
                text.Append(' ');
            text.Append(reader.TokenType switch
            {
                JsonTokenType.StartObject => "map[",
                JsonTokenType.StartArray => "[",
                JsonTokenType.EndObject or JsonTokenType.EndArray => "]",
                JsonTokenType.PropertyName => GoJson.Text(ref reader) + ":",
                JsonTokenType.String => GoJson.Text(ref reader),
                JsonTokenType.Number => Number(reader.GetDouble()),
                JsonTokenType.True => "true",
                JsonTokenType.False => "false",
                _ => "<nil>",
            });
            isFirst = reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray or JsonTokenType.PropertyName;
        }

        return text.ToString();
    }

    /// <summary>As Go's <c>%q</c>, for the characters that occur here.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder(text.Length + 2).Append('"');
        foreach (var c in text)
        {
            quoted = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                '\n' => quoted.Append("\\n"),
                '\r' => quoted.Append("\\r"),
                '\t' => quoted.Append("\\t"),
                '\a' => quoted.Append("\\a"),
                '\b' => quoted.Append("\\b"),
                '\f' => quoted.Append("\\f"),
                '\v' => quoted.Append("\\v"),
                < ' ' or '\x7f' => quoted.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"),
                > '\x7f' and <= '\xa0' or '\xad' => quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => quoted.Append(c),
            };
        }
        return quoted.Append('"').ToString();
    }

    /// <summary>What may be the name of metadata over gRPC.</summary>
    public static bool IsMetadataName(string name) => name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '_' or '-' or '.');

    /// <summary>As Go's <c>http.StatusText</c>: empty for a status that it does not know.</summary>
    public static string StatusText(int status) => status switch
    {
        203 => "Non-Authoritative Information",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        416 => "Requested Range Not Satisfiable",
        425 => "Too Early",
        306 or 419 or 499 => "",
        _ => ReasonPhrases.GetReasonPhrase(status),
    };

    /// <summary>As Go's <c>%v</c>: with an exponent below 1e-4 and from 1e6 on.</summary>
    private static string Number(double value)
    {
        if (value == 0 || Math.Abs(value) is >= 1e-4 and < 1e6)
            return GoJson.Number(value);
        var parts = value.ToString("R", CultureInfo.InvariantCulture).TrimStart('-').Split('E');
        var point = parts[0].IndexOf('.', StringComparison.Ordinal) is >= 0 and var at ? at : parts[0].Length;
        var digits = parts[0].Replace(".", "", StringComparison.Ordinal);
        var exponent = point - 1 - (digits.Length - digits.TrimStart('0').Length) + (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
        digits = digits.Trim('0');
        return string.Create(
            CultureInfo.InvariantCulture, $"{(value < 0 ? "-" : "")}{digits[0]}{(digits.Length > 1 ? "." : "")}{digits[1..]}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}");
    }
}
