using Microsoft.AspNetCore.Http.Features;

namespace EmbeddedSidecar.Api;

/// <summary>Segments of the path as they were sent: the server decodes all but %2F, after which "a%2Fb" and "a%252Fb" look the same.</summary>
internal static class RequestPath
{
    /// <summary>The path as it was sent, without the query.</summary>
    public static string Raw(HttpContext context)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var query = target.IndexOf('?', StringComparison.Ordinal);
        return query < 0 ? target : target[..query];
    }

    /// <summary>The last segment, decoded once.</summary>
    public static string LastSegment(HttpContext context)
    {
        var path = Raw(context).AsSpan().TrimEnd('/');
        return Uri.UnescapeDataString(path[(path.LastIndexOf('/') + 1)..].ToString().Replace('+', ' '));
    }

    /// <summary>daprd decodes the parts of a route as a query is (pkg/api/http/server.go): a plus sign is a space, unless it was sent as %2B.</summary>
    /// <param name="path">As the server decoded it.</param>
    /// <param name="raw">As it was sent.</param>
    public static string WithSpaces(string path, string raw)
    {
        if (!raw.Contains('+', StringComparison.Ordinal))
            return path;
        var isEncoded = Enumerable.Range(0, raw.Length).Where(at => raw[at] == '+' || raw.AsSpan(at).StartsWith("%2B", StringComparison.OrdinalIgnoreCase))
            .Select(at => raw[at] == '%').ToList();
        var signs = 0;
        var decoded = string.Concat(path.Select(c => c == '+' && !isEncoded.ElementAtOrDefault(signs++) ? ' ' : c));
        // Where dots took some of the path away it is not known which signs are left.
        return signs == isEncoded.Count ? decoded : path;
    }
}
