using Microsoft.AspNetCore.Http.Features;

namespace DaprOrders.Sidecar.Api;

/// <summary>Segments of the path as they were sent: the server decodes all but %2F, after which "a%2Fb" and "a%252Fb" look the same.</summary>
public static class RequestPath
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
        return Uri.UnescapeDataString(path[(path.LastIndexOf('/') + 1)..].ToString());
    }
}
