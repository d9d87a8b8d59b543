using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>What an application made of an event. The words are compared as they are, in upper case (components-contrib/pubsub/responses.go).</summary>
internal enum AppVerdict
{
    Success,
    Retry,
    Drop,
}

internal static class AppAnswer
{
    /// <summary>
    /// The body of a 2xx answer to one event: nothing, no JSON, or JSON without a text in <c>status</c> is success; an unknown word is a retry.
    /// </summary>
    public static AppVerdict ReadOne(ReadOnlySpan<byte> body)
    {
        if (body.IsEmpty)
            return AppVerdict.Success;

        try
        {
            return Field(body, "status"u8) is { } status ? Verdict(status, AppVerdict.Success) : AppVerdict.Success;
        }
        catch (JsonException)
        {
            // "fine" and the like: the status code has said it.
            return AppVerdict.Success;
        }
    }

    /// <summary>The verdicts by entry id in the body of a 2xx answer to a batch; what is missing or without a word is to be retried.</summary>
    /// <exception cref="JsonException">The body says nothing about entries.</exception>
    public static Dictionary<string, AppVerdict> ReadMany(ReadOnlyMemory<byte> body)
    {
        using var document = JsonDocument.Parse(body, GoJson.DocumentOptions);
        var verdicts = new Dictionary<string, AppVerdict>();
        if (document.RootElement.ValueKind != JsonValueKind.Object)
            throw new JsonException($"expected {{\"statuses\":[...]}}, got {document.RootElement.ValueKind}");

        foreach (var statuses in document.RootElement.EnumerateObject().Where(field => field.Name.Equals("statuses", StringComparison.OrdinalIgnoreCase)))
        {
            foreach (var entry in statuses.Value.EnumerateArray())
            {
                var (id, status) = ("", "");
                foreach (var field in entry.EnumerateObject())
                {
                    if (field.Name.Equals("entryId", StringComparison.OrdinalIgnoreCase))
                        id = field.Value.GetString() ?? "";
                    else if (field.Name.Equals("status", StringComparison.OrdinalIgnoreCase))
                        status = field.Value.GetString() ?? "";
                }

                verdicts[id] = Verdict(status, AppVerdict.Retry);
            }
        }

        return verdicts;
    }

    private static AppVerdict Verdict(string status, AppVerdict whenEmpty) => status switch
    {
        "" => whenEmpty,
        "SUCCESS" => AppVerdict.Success,
        "DROP" => AppVerdict.Drop,
        _ => AppVerdict.Retry,
    };

    /// <summary>The text of a field of the object that the body begins with; its name is compared without case.</summary>
    private static string? Field(ReadOnlySpan<byte> body, ReadOnlySpan<byte> name)
    {
        string? found = null;
        var reader = new Utf8JsonReader(body, GoJson.ReaderOptions);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return null;

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var matches = reader.ValueTextEquals(name) || System.Text.Ascii.EqualsIgnoreCase(reader.ValueSpan, name);
            reader.Read();
            if (matches && reader.TokenType is not (JsonTokenType.String or JsonTokenType.Null))
                return null;
            if (!matches)
                reader.Skip();
            else if (reader.TokenType == JsonTokenType.String)
                found = GoJson.Text(ref reader);
        }

        return found;
    }
}
