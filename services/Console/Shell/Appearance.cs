using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.Console.Shell;

/// <summary>Light, dark, or as the system is set: kept in a cookie, since pages are rendered before any script runs.</summary>
internal static class Appearance
{
    public const string Cookie = "appearance";

    private static readonly string[] Known = ["light", "dark"];

    /// <summary>Null: as the system is set.</summary>
    public static string? Of(HttpContext? http) => Known.FirstOrDefault(known => known == http?.Request.Cookies[Cookie]);

    public static void MapAppearance(this WebApplication app) => app.MapPost("/appearance", (HttpContext http, [FromForm] string appearance, [FromForm] string? back) =>
    {
        if (Known.Contains(appearance))
            http.Response.Cookies.Append(Cookie, appearance, new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Strict, MaxAge = TimeSpan.FromDays(365) });
        else
            http.Response.Cookies.Delete(Cookie);
        return Results.LocalRedirect(Back.To(back));
    }).AllowAnonymous();
}
