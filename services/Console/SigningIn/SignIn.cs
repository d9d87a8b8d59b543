using System.Security.Claims;
using DaprOrders.ServiceDefaults.Access;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.Console.SigningIn;

/// <summary>Sessions of people, where the services ask for tokens: a cookie that holds the token which is sent on.</summary>
internal static class SignIn
{
    public const string Page = "/sign-in";

    /// <summary>Who may look at pages.</summary>
    public const string Policy = "staff";

    private const int LongestName = 64;

    public static void AddSigningIn(this WebApplicationBuilder builder)
    {
        var authentication = Authentication.From(builder.Configuration);
        builder.Services.AddSingleton(authentication);
        builder.Services.AddScoped<Visitor>();
        if (LocalTokens.From(builder.Configuration, builder.Environment) is { } tokens)
            builder.Services.AddSingleton(tokens);
        builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(cookie =>
        {
            cookie.Cookie.Name = "daprorders-console";
            cookie.Cookie.SameSite = SameSiteMode.Strict;
            cookie.Cookie.HttpOnly = true;
            cookie.LoginPath = Page;
            cookie.AccessDeniedPath = Page;
        });
        builder.Services.AddAuthorizationBuilder().AddPolicy(Policy, policy =>
        {
            if (authentication.IsOn)
                policy.RequireRole(Authentication.ViewerRole, Authentication.OperatorRole);
            else
                policy.RequireAssertion(_ => true);
        });
    }

    public static void MapSigningIn(this WebApplication app)
    {
        if (app.Services.GetService<LocalTokens>() is { } tokens)
        {
            app.MapPost("/session", async (HttpContext http, [FromForm] string name, [FromForm] string role, TimeProvider time) =>
            {
                if (name.Length is 0 or > LongestName || role is not (Authentication.ViewerRole or Authentication.OperatorRole))
                    return Results.LocalRedirect(Page);
                var claims = new[] { new Claim("name", name), new Claim("role", role), new Claim(Visitor.TokenClaim, tokens.Issue(name, role, time)) };
                var identity = new ClaimsIdentity(claims, CookieAuthenticationDefaults.AuthenticationScheme, "name", "role");
                await http.SignInAsync(new ClaimsPrincipal(identity));
                return Results.LocalRedirect("/");
            }).AllowAnonymous();
        }

        app.MapPost("/session/end", async (HttpContext http, [FromForm] string? _) =>
        {
            await http.SignOutAsync();
            return Results.LocalRedirect(Page);
        }).AllowAnonymous();
    }
}
