using Microsoft.Extensions.Primitives;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// Calls from scripts of web pages (CORS), by the rules of daprd (pkg/api/http/server.go, go-chi/cors): a preflight is answered at any path, without
/// a token and without asking the application. An allowed origin may hold one star, as in <c>https://*.example.org</c>.
/// </summary>
internal sealed class CrossOrigin
{
    private const string RequestMethod = "Access-Control-Request-Method";
    private const string RequestHeaders = "Access-Control-Request-Headers";

    private static readonly string[] Methods = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    private readonly string[] _origins;
    private readonly bool _any;

    private CrossOrigin(string[] origins) => (_origins, _any) = (origins, origins.Contains("*"));

    /// <summary>Null where no origin is named: there are no such headers then.</summary>
    public static CrossOrigin? From(string allowedOrigins) => allowedOrigins.Length == 0 ? null : new(allowedOrigins.Split(','));

    /// <summary>Adds the headers; true for a preflight, which is answered with them.</summary>
    public bool Answers(HttpContext context)
    {
        var (request, headers) = (context.Request, context.Response.Headers);
        var method = request.Headers[RequestMethod].ToString();
        var isPreflight = HttpMethods.IsOptions(request.Method) && method.Length > 0;
        headers.Vary = isPreflight ? new StringValues(["Origin", RequestMethod, RequestHeaders]) : "Origin";
        var origin = request.Headers.Origin.ToString();
        if (Allows(origin) && Methods.Contains(isPreflight ? method : request.Method, StringComparer.OrdinalIgnoreCase))
        {
            headers.AccessControlAllowOrigin = _any ? "*" : origin;
            if (isPreflight)
            {
                headers.AccessControlAllowMethods = method.ToUpperInvariant();
                if (string.Join(", ", Names(request.Headers[RequestHeaders].ToString())) is { Length: > 0 } names)
                    headers.AccessControlAllowHeaders = names;
            }
        }

        return isPreflight;
    }

    private bool Allows(string origin) => origin.Length > 0 && (_any || _origins.Any(allowed => allowed.Split('*', 2) switch
    {
        [var whole] => whole.Equals(origin, StringComparison.OrdinalIgnoreCase),
        [var start, var end] => origin.Length >= start.Length + end.Length
            && origin.StartsWith(start, StringComparison.OrdinalIgnoreCase) && origin.EndsWith(end, StringComparison.OrdinalIgnoreCase),
        _ => false,
    }));

    /// <summary>As Go writes the names of headers: x-own is X-Own.</summary>
    private static IEnumerable<string> Names(string list) => list
        .Split([',', ' '], StringSplitOptions.RemoveEmptyEntries)
        .Select(name => string.Join('-', name.Split('-').Select(part => part.Length == 0 ? part : char.ToUpperInvariant(part[0]) + part[1..].ToLowerInvariant())));
}
