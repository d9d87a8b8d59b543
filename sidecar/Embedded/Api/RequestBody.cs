using System.IO.Pipelines;
using System.Text.Json;
using EmbeddedSidecar.Formats;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace EmbeddedSidecar.Api;

/// <summary>Reads request bodies whole.</summary>
internal static class RequestBody
{
    /// <summary>What is sent beyond the limit is read all the same, up to this many times the limit, so that the caller gets to read the answer.</summary>
    private const int PatienceFactor = 16;

    /// <summary>daprd's word for a body over the limit.</summary>
    public const string TooLarge = "stream too large";

    /// <exception cref="BadHttpRequestException">The body is larger than the sidecar's limit (413, with daprd's text), or broke off.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        var limit = LetMoreThrough(context);
        var reader = context.Request.BodyReader;
        using var buffer = new MemoryStream((int)Math.Min(context.Request.ContentLength ?? 0, 1 << 20));
        for (var length = 0L; ;)
        {
            var result = await ReadAsync(reader, context.RequestAborted);
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
                : throw new BadHttpRequestException(length == limit + 1 ? "unexpected EOF" : TooLarge, StatusCodes.Status413PayloadTooLarge);
        }
    }

    private static async ValueTask<ReadResult> ReadAsync(PipeReader body, CancellationToken cancellationToken)
    {
        try
        {
            return await body.ReadAsync(cancellationToken);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw new BadHttpRequestException(TooLarge, e.StatusCode, e);
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

    /// <summary>The metadata.k=v parameters of the query, their names without the prefix. Names are exact, and of one that comes again the first counts.</summary>
    public static Dictionary<string, string> QueryMetadata(HttpContext context)
    {
        const string Prefix = "metadata.";
        var metadata = new Dictionary<string, string>();
        foreach (var parameter in new QueryStringEnumerable(context.Request.QueryString.Value))
        {
            var name = parameter.DecodeName().Span;
            if (name.StartsWith(Prefix, StringComparison.Ordinal))
                metadata.TryAdd(name[Prefix.Length..].ToString(), parameter.DecodeValue().ToString());
        }

        return metadata;
    }

    /// <summary>Parses the first JSON value of a body, behind which Go's decoder does not look; daprd's texts for what cannot be parsed are Go's.</summary>
    /// <exception cref="JsonException">With the text that Go's decoder gives; also for what is nested too deep.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonDocument.Parse(body, GoJson.DocumentOptions);
        }
        catch (JsonException e) when (GoJsonSyntax.Describe(body.Span, out var length) is var problem)
        {
            return problem is null && length < body.Length ? Parse(body[..length]) : throw new JsonException(problem ?? e.Message, e);
        }
    }
}
