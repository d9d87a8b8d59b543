using System.Text.Json;

namespace DaprOrders.Sidecar.Api;

/// <summary>Reads request bodies whole.</summary>
public static class RequestBody
{
    /// <exception cref="BadHttpRequestException">The body is larger than the sidecar's limit (413), or broke off.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        var reader = context.Request.BodyReader;
        var expected = context.Request.ContentLength ?? 0;
        using var buffer = new MemoryStream((int)Math.Min(expected, 1 << 20));
        while (true)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            foreach (var segment in result.Buffer)
            {
                buffer.Write(segment.Span);
            }

            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return new ReadOnlyMemory<byte>(buffer.GetBuffer(), 0, (int)buffer.Length);
            }
        }
    }

    /// <summary>The metadata.k=v parameters of the query, their names without the prefix.</summary>
    public static Dictionary<string, string> QueryMetadata(HttpContext context)
    {
        const string Prefix = "metadata.";
        var metadata = new Dictionary<string, string>();
        foreach (var (name, values) in context.Request.Query)
        {
            if (name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            {
                metadata[name[Prefix.Length..]] = values.ToString();
            }
        }

        return metadata;
    }

    /// <summary>Parses a body; daprd's texts for what cannot be parsed are those of Go.</summary>
    /// <exception cref="JsonException">With the text that Go's decoder gives.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonDocument.Parse(body);
        }
        catch (JsonException e)
        {
            throw new JsonException(GoJsonSyntax.Describe(body.Span) ?? e.Message, e);
        }
    }
}
