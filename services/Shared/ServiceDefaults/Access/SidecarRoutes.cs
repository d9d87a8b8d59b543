using System.Security.Cryptography;
using System.Text;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>
/// The routes that are the service's own sidecar's: deliveries, actor calls, Dapr's questions. A call that another application makes through
/// its sidecar is refused, which is all that the app token cannot tell: daprd adds it to invoked calls too.
/// </summary>
internal static class SidecarRoutes
{
    private static readonly string[] Prefixes = ["/events", "/actors", "/dapr"];

    public static bool Contains(PathString path) => Prefixes.Any(prefix => path.StartsWithSegments(prefix));

    public static void UseSidecarRoutes(this WebApplication app, string appId)
    {
        var token = AppToken.Of(app.Configuration);
        app.Use(async (context, next) =>
        {
            if (Contains(context.Request.Path) && RefusalOf(context.Request, appId, token) is { } refusal)
                await refusal.ExecuteAsync(context);
            else
                await next(context);
        });
    }

    private static ProblemHttpResult? RefusalOf(HttpRequest request, string appId, AppToken? token)
    {
        var callers = Callers.Of(request);
        // An actor is called by its own service, and then by name; a delivery or a reminder by nobody.
        var isOwn = callers.Count == 0 || (callers is [var caller] && caller == appId && request.Path.StartsWithSegments("/actors"));
        if (!isOwn)
            return Problems.Of(
                StatusCodes.Status403Forbidden,
                "sidecar-only",
                $"Only the Dapr sidecar of {appId} may call this, on its own account; got a call by {string.Join(", ", callers)}. Publish an event instead.");

        return token?.IsIn(request) == false
            ? Problems.Of(
                StatusCodes.Status401Unauthorized,
                "wrong-app-token",
                $"Only the Dapr sidecar may call this: send the value of {AppToken.Setting} in the header {AppToken.Header}.")
            : null;
    }
}

/// <summary>What APP_API_TOKEN holds: the sidecar sends it with every call, and nobody else knows it.</summary>
internal sealed class AppToken
{
    public const string Setting = "APP_API_TOKEN";

    public const string Header = "dapr-api-token";

    private readonly byte[] _expected;

    private AppToken(string expected) => _expected = Encoding.UTF8.GetBytes(expected);

    /// <summary>Null when none is set.</summary>
    public static AppToken? Of(IConfiguration configuration) => configuration[Setting] is { Length: > 0 } configured ? new AppToken(configured) : null;

    public bool IsIn(HttpRequest request) =>
        CryptographicOperations.FixedTimeEquals(_expected, Encoding.UTF8.GetBytes(request.Headers[Header].ToString()));
}
