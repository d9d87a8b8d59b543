using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>Whether people and other clients must say who they are.</summary>
/// <param name="IsOn">They send a bearer token (JWT). Otherwise whoever reaches the service may do everything that is not another service's.</param>
/// <param name="CustomerClaim">The claim that is the customer id; <c>sub</c> unless <c>Auth:CustomerClaim</c> names another.</param>
public sealed record Authentication(bool IsOn, string CustomerClaim)
{
    /// <summary>Sees everything and changes nothing.</summary>
    public const string ViewerRole = "viewer";

    public const string OperatorRole = "operator";

    private const string Issuers = "Authentication:Schemes:Bearer";

    /// <exception cref="InvalidOperationException">The settings contradict each other, or leave a service open that other machines reach.</exception>
    public static Authentication From(IConfiguration configuration)
    {
        var isOn = IsAskedFor(configuration);
        if (isOn && configuration["Auth:Authority"] is { Length: > 0 } && configuration["Auth:Audience"] is not { Length: > 0 })
            throw new InvalidOperationException("Auth:Audience is missing: the name under which Auth:Authority knows these services. Without it a token for any other service would do.");
        if (isOn && AppToken.Of(configuration) is null)
            throw new InvalidOperationException(
                $"Clients must say who they are (Auth), but {AppToken.Setting} is not set: then any of them could say it was a sidecar. Set it in the shell that starts the system.");
        return new Authentication(isOn, configuration["Auth:CustomerClaim"] ?? "sub");
    }

    private static bool IsAskedFor(IConfiguration configuration)
    {
        var hasIssuer = configuration["Auth:Authority"] is { Length: > 0 } || configuration.GetSection(Issuers).GetChildren().Any();
        switch (configuration["Auth:Mode"])
        {
            case "none":
                return false;
            case "jwt" or null or "" when hasIssuer:
                return true;
            case null or "":
                return ListeningBeyondLoopback.AddressOf(configuration) is not { } address
                    ? false
                    : throw new InvalidOperationException(
                        $"This service is to listen on {address}, which other machines reach, and nobody would have to say who they are. Set Auth:Authority and "
                        + "Auth:Audience to where tokens come from, or Auth:Mode=none when something before this service sees to it.");
            case "jwt":
                throw new InvalidOperationException(
                    $"Auth:Mode is jwt, but nothing says whose tokens are taken: set Auth:Authority and Auth:Audience, or section {Issuers} (dotnet user-jwts).");
            case var other:
                throw new InvalidOperationException($"Auth:Mode is '{other}'; expected jwt, none, or nothing.");
        }
    }

    public void AddTo(WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton(this);
        var policies = builder.Services.AddAuthorizationBuilder();
        if (!IsOn)
        {
            policies.AddPolicy(Policies.Buyer, policy => policy.RequireAssertion(_ => true));
            return;
        }

        builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(bearer =>
        {
            if (builder.Configuration["Auth:Authority"] is { Length: > 0 } authority)
            {
                bearer.Authority = authority;
                bearer.Audience = builder.Configuration["Auth:Audience"];
                bearer.RequireHttpsMetadata = !(Uri.TryCreate(authority, UriKind.Absolute, out var uri) && uri.IsLoopback);
            }

            // Claims as the token names them.
            bearer.MapInboundClaims = false;
            bearer.TokenValidationParameters.NameClaimType = CustomerClaim;
            bearer.TokenValidationParameters.RoleClaimType = builder.Configuration["Auth:RoleClaim"] ?? "role";
        });
        policies
            .AddPolicy(Policies.Buyer, policy => policy.RequireAuthenticatedUser())
            // What nobody named a policy for is for operators, and for viewers to read, so that a route that is forgotten is closed.
            .SetFallbackPolicy(new AuthorizationPolicyBuilder()
                .RequireAssertion(context => context.Resource is HttpContext http ? IsStaff(http) || IsNobodys(http) : context.User.IsInRole(OperatorRole))
                .Build());
    }

    /// <summary>An operator, or a viewer who only reads.</summary>
    internal static bool IsStaff(HttpContext http) => http.User.IsInRole(OperatorRole)
        || (http.User.IsInRole(ViewerRole) && (HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method)));

    /// <summary>No route at all, or one that is asked by what has no token of a person: the sidecar (which has a guard of its own) and probes.</summary>
    private static bool IsNobodys(HttpContext http) =>
        http.GetEndpoint() is null || SidecarRoutes.Contains(http.Request.Path) || http.Request.Path.StartsWithSegments("/healthz");
}
