using System.Text.Json;
using EmbeddedSidecar.Formats;
using Microsoft.AspNetCore.Http.Features;

namespace EmbeddedSidecar.Api;

/// <summary>Reads request bodies whole.</summary>
internal static class RequestBody
{
    /// <summary>What is sent beyond the limit is read all the same, up to this many times the limit, so that the caller gets to read the answer.</summary>
    private const int PatienceFactor = 16;

    /// <exception cref="BadHttpRequestException">The body is larger than the sidecar's limit (413), or broke off.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        var limit = LetMoreThrough(context);
        var reader = context.Request.BodyReader;
        using var buffer = new MemoryStream((int)Math.Min(context.Request.ContentLength ?? 0, 1 << 20));
        for (var length = 0L; ;)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            length += result.Buffer.Length;
            if (length <= limit)
            {
                foreach (var segment in result.Buffer)
                    buffer.Write(segment.Span);
            }

            reader.AdvanceTo(result.Buffer.End);
            if (!result.IsCompleted)
                continue;
            return length <= limit
                ? new ReadOnlyMemory<byte>(buffer.GetBuffer(), 0, (int)buffer.Length)
                : throw new BadHttpRequestException($"the body has {length} bytes, the limit is {limit}", StatusCodes.Status413PayloadTooLarge);
        }
    }

    /// <summary>Before a body is refused unread: a server that hangs up while the client still writes leaves it without the reason.</summary>
    public static async Task SkipAsync(HttpContext context)
    {
        LetMoreThrough(context);
        await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
    }

    /// <summary>The limit as it was.</summary>
    private static long LetMoreThrough(HttpContext context)
    {
        var size = context.Features.Get<IHttpMaxRequestBodySizeFeature>();
        var limit = size?.MaxRequestBodySize ?? long.MaxValue;
        if (size is { IsReadOnly: false })
            size.MaxRequestBodySize = limit < long.MaxValue / PatienceFactor ? limit * PatienceFactor : null;
        return limit;
    }

    /// <summary>The metadata.k=v parameters of the query, their names without the prefix.</summary>
    public static Dictionary<string, string> QueryMetadata(HttpContext context)
    {
        const string Prefix = "metadata.";
        var metadata = new Dictionary<string, string>();
        foreach (var (name, values) in context.Request.Query)
        {
            if (name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
                metadata[name[Prefix.Length..]] = values.ToString();
        }

        return metadata;
    }

    /// <summary>Parses a body; daprd's texts for what cannot be parsed are those of Go.</summary>
    /// <exception cref="JsonException">With the text that Go's decoder gives; also for what is nested too deep.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonDocument.Parse(body, GoJson.DocumentOptions);
        }
        catch (JsonException e)
        {
            throw new JsonException(GoJsonSyntax.Describe(body.Span) ?? e.Message, e);
        }
    }
}
