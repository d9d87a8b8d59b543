using DaprOrders.ServiceDefaults.Access;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace DaprOrders.Console.SigningIn;

/// <summary>Where people sign in by OpenID Connect: the provider whose tokens the services take, and as whom the console is known there.</summary>
internal sealed partial class OpenIdProvider
{
    private static readonly string[] NameClaims = ["name", "preferred_username", "sub"];

    private readonly string _authority;
    private readonly string _audience;
    private readonly string _roleClaim;
    private readonly string _clientId;
    private readonly ConsoleOptions _console;

    private OpenIdProvider(string authority, string audience, string roleClaim, string clientId, ConsoleOptions console) =>
        (_authority, _audience, _roleClaim, _clientId, _console) = (authority, audience, roleClaim, clientId, console);

    /// <summary>Null where the services take tokens of no provider.</summary>
    /// <exception cref="InvalidOperationException">There is a provider, and nothing says as whom the console is known there.</exception>
    public static OpenIdProvider? From(IConfiguration configuration, Authentication authentication)
    {
        if (!authentication.IsOn || configuration["Auth:Authority"] is not { Length: > 0 } authority)
            return null;
        var console = configuration.GetSection("Console").Get<ConsoleOptions>() ?? new ConsoleOptions();
        return console.ClientId is { Length: > 0 } clientId
            ? new OpenIdProvider(authority, configuration["Auth:Audience"]!, configuration["Auth:RoleClaim"] ?? "role", clientId, console)
            : throw new InvalidOperationException(
                $"Console:ClientId is missing: people sign in at {authority} (Auth:Authority), and it has to know the console. Register a client there that uses the "
                + "authorization code with PKCE and comes back to /signin-oidc, and set its id (Console__ClientId in the environment).");
    }

    public void Set(OpenIdConnectOptions oidc)
    {
        oidc.Authority = _authority;
        oidc.RequireHttpsMetadata = !(Uri.TryCreate(_authority, UriKind.Absolute, out var uri) && uri.IsLoopback);
        oidc.ClientId = _clientId;
        oidc.ClientSecret = _console.ClientSecret;
        foreach (var scope in (_console.Scope ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            oidc.Scope.Add(scope);
        oidc.MapInboundClaims = false;
        oidc.DisableTelemetry = true;
        // The code comes back in the address: for a form that is posted from elsewhere, cookies would have to be sent with every request from elsewhere.
        oidc.ResponseType = OpenIdConnectResponseType.Code;
        oidc.ResponseMode = OpenIdConnectResponseMode.Query;
        oidc.UsePkce = true;
        foreach (var cookie in new[] { oidc.CorrelationCookie, oidc.NonceCookie })
        {
            cookie.SameSite = SameSiteMode.Lax;
            cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        }

        // Any site could end a session by showing this address.
        oidc.RemoteSignOutPath = default;
        oidc.SignedOutRedirectUri = SignIn.Page;
        oidc.Events.OnTokenValidated = BeginSessionAsync;
        oidc.Events.OnRemoteFailure = TellFailureAsync;
    }

    /// <summary>Keeps of all that the provider sent what pages need. The access token has to be one that the services take: here it can be said why it is not.</summary>
    private async Task BeginSessionAsync(TokenValidatedContext context)
    {
        var token = context.TokenEndpointResponse?.AccessToken;
        var found = await new JsonWebTokenHandler().ValidateTokenAsync(token, new TokenValidationParameters
        {
            ConfigurationManager = context.Options.ConfigurationManager as BaseConfigurationManager,
            ValidAudience = _audience,
        });
        if (!found.IsValid)
        {
            context.Fail(new InvalidOperationException(
                $"The services would not take the access token of {_authority}; expected a JWT for Auth:Audience '{_audience}'. With many providers Console:Scope has to name a scope of that audience.",
                found.Exception));
            return;
        }

        var claims = context.Principal!.Claims.Concat(found.ClaimsIdentity.Claims).ToList();
        var name = NameClaims.Select(type => claims.FirstOrDefault(claim => claim.Type == type)?.Value).First(value => !string.IsNullOrEmpty(value))!;
        var roles = found.ClaimsIdentity.FindAll(_roleClaim).Select(claim => claim.Value).Intersect([Authentication.ViewerRole, Authentication.OperatorRole]);
        (context.Principal, var session) = Session.Of(name, roles, token!);
        context.Properties!.ExpiresUtc = session.ExpiresUtc;
        // The provider asks for it when somebody signs out.
        context.Properties.StoreTokens([new AuthenticationToken { Name = OpenIdConnectParameterNames.IdToken, Value = context.TokenEndpointResponse!.IdToken }]);
    }

    private static Task TellFailureAsync(RemoteFailureContext context)
    {
        LogFailure(Log(context.HttpContext), context.Failure);
        context.HandleResponse();
        context.Response.Redirect(SignIn.FailedPage);
        return Task.CompletedTask;
    }

    /// <param name="back">A path of the console.</param>
    public static async Task<IResult> ChallengeAsync(HttpContext http, string back)
    {
        try
        {
            await http.ChallengeAsync(OpenIdConnectDefaults.AuthenticationScheme, new AuthenticationProperties { RedirectUri = back });
            return Results.Empty;
        }
        catch (Exception e) when (IsUnreachable(e))
        {
            LogFailure(Log(http), e);
            return Results.LocalRedirect(SignIn.FailedPage);
        }
    }

    /// <summary>
    /// Ends the session at the provider, if it has a way to. The browser goes there by itself, instead of being redirected: a form's answer may redirect to no other
    /// site (form-action), and where a provider redirects to in turn cannot be known.
    /// </summary>
    public static async Task<IResult> SignOutAsync(HttpContext http, OpenIdConnectOptions oidc)
    {
        try
        {
            var provider = await oidc.ConfigurationManager!.GetConfigurationAsync(http.RequestAborted);
            if (provider.EndSessionEndpoint is not { Length: > 0 })
                return Results.LocalRedirect(SignIn.Page);
            await http.SignOutAsync(OpenIdConnectDefaults.AuthenticationScheme);
        }
        catch (Exception e) when (IsUnreachable(e))
        {
            LogFailure(Log(http), e);
            return Results.LocalRedirect(SignIn.Page);
        }

        http.Response.Headers["Refresh"] = $"0; url={http.Response.Headers.Location}";
        http.Response.Headers.Remove("Location");
        return Results.Text("Signed out of the console. Signing out of the provider …", statusCode: StatusCodes.Status200OK);
    }

    /// <summary>Nobody has read yet what the provider says of itself, and it cannot be read now.</summary>
    private static bool IsUnreachable(Exception e) => e is InvalidOperationException { InnerException: not null } or IOException or HttpRequestException;

    private static ILogger Log(HttpContext http) => http.RequestServices.GetRequiredService<ILogger<OpenIdProvider>>();

    [LoggerMessage(Level = LogLevel.Warning, Message = "The provider (Auth:Authority) signed nobody in or out")]
    private static partial void LogFailure(ILogger logger, Exception? reason);
}
