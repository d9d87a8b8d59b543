using System.Security.Cryptography;
using System.Text;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.ServiceDefaults;

internal static class AppToken
{
    private const string Header = "dapr-api-token";

    private static readonly string[] SidecarOnly = ["/events", "/actors", "/dapr"];

    /// <summary>With APP_API_TOKEN set, the routes that only the sidecar calls are refused to everybody else: 401.</summary>
    public static void UseAppToken(this WebApplication app)
    {
        if (app.Configuration["APP_API_TOKEN"] is not { Length: > 0 } configured)
            return;

        var expected = Encoding.UTF8.GetBytes(configured);
        app.Use(async (context, next) =>
        {
            if (SidecarOnly.Any(prefix => context.Request.Path.StartsWithSegments(prefix))
                && !CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(context.Request.Headers[Header].ToString())))
            {
                await Problems.Of(
                    StatusCodes.Status401Unauthorized,
                    "wrong-app-token",
                    $"Only the Dapr sidecar may call this: send the value of APP_API_TOKEN in the header {Header}.").ExecuteAsync(context);
                return;
            }

            await next(context);
        });
    }
}
