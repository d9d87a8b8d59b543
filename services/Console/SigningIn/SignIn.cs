using DaprOrders.Console.Shell;
using DaprOrders.ServiceDefaults.Access;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DaprOrders.Console.SigningIn;

/// <summary>Sessions of people, where the services ask for tokens: a cookie that holds the token which is sent on.</summary>
internal static class SignIn
{
    public const string Page = "/sign-in";

    public const string FailedPage = $"{Page}?failed=true";

    /// <summary>For who is signed in, and may see nothing here.</summary>
    public const string NoRolePage = "/no-role";

    /// <summary>From here to the provider.</summary>
    public const string Begin = "/session/begin";

    /// <summary>Who may look at pages.</summary>
    public const string Policy = "staff";

    private const int LongestName = 64;

    public static void AddSigningIn(this WebApplicationBuilder builder)
    {
        var authentication = Authentication.From(builder.Configuration);
        var provider = OpenIdProvider.From(builder.Configuration, authentication);
        builder.Services.AddSingleton(authentication);
        builder.Services.AddScoped<Visitor>();
        var schemes = builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(cookie =>
        {
            cookie.Cookie.Name = "daprorders-console";
            // Who comes back from the provider comes from another site: a strict cookie would not be sent then, and they would have to sign in once more.
            cookie.Cookie.SameSite = provider is null ? SameSiteMode.Strict : SameSiteMode.Lax;
            cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
            cookie.Cookie.HttpOnly = true;
            // A session that went on for longer than its token would be of no use.
            cookie.SlidingExpiration = false;
            cookie.LoginPath = Page;
            cookie.AccessDeniedPath = NoRolePage;
        });
        if (provider is not null)
        {
            builder.Services.AddSingleton(provider);
            schemes.AddOpenIdConnect(provider.Set);
        }
        else if (LocalTokens.From(builder.Configuration, builder.Environment) is { } tokens)
        {
            builder.Services.AddSingleton(tokens);
        }

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
                var (who, session) = Session.Of(name, [role], tokens.Issue(name, role, time));
                await http.SignInAsync(who, session);
                return Results.LocalRedirect("/");
            }).AllowAnonymous();
        }

        var isByProvider = app.Services.GetService<OpenIdProvider>() is not null;
        if (isByProvider)
            app.MapGet(Begin, (HttpContext http, string? back) => OpenIdProvider.ChallengeAsync(http, Back.To(back))).AllowAnonymous();

        app.MapPost("/session/end", async (HttpContext http, [FromForm] string? _, IOptionsMonitor<OpenIdConnectOptions> oidc) =>
        {
            var wasSignedIn = http.User.Identity?.IsAuthenticated == true;
            await http.SignOutAsync();
            return isByProvider && wasSignedIn
                ? await OpenIdProvider.SignOutAsync(http, oidc.Get(OpenIdConnectDefaults.AuthenticationScheme))
                : Results.LocalRedirect(Page);
        }).AllowAnonymous();
    }
}
