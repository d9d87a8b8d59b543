using System.Collections.Concurrent;
using System.Net;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace DaprOrders.Console.Tests;

/// <summary>Somebody who signs in there, without being asked.</summary>
/// <param name="Claims">Of the access token.</param>
/// <param name="IdClaims">Of the id token.</param>
public sealed record Account(IReadOnlyDictionary<string, object> Claims, IReadOnlyDictionary<string, object> IdClaims)
{
    public static Account With(params string[] roles) => new(new Dictionary<string, object> { ["role"] = roles }, new Dictionary<string, object> { ["name"] = "Ann Other" });
}

/// <summary>An OpenID provider on this machine: discovery, keys, authorize, token and end-session endpoint. It takes nothing but the code flow with PKCE.</summary>
public sealed class PlayedProvider : IAsyncDisposable
{
    public const string ClientId = "console";
    public const string Audience = "daprorders";
    public const string Subject = "u-17";

    private readonly RSA _rsa = RSA.Create(2048);
    private readonly RsaSecurityKey _key;
    private readonly ConcurrentDictionary<string, IQueryCollection> _codes = new();
    private readonly WebApplication _app;

    private PlayedProvider(bool endsSessions)
    {
        _key = new RsaSecurityKey(_rsa) { KeyId = "k-1" };
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapGet("/.well-known/openid-configuration", () => Discovery(endsSessions));
        _app.MapGet("/keys", Keys);
        _app.MapGet("/authorize", Authorize);
        _app.MapPost("/token", TokenAsync);
        if (endsSessions)
            _app.MapGet("/end", (HttpRequest request) => Results.Redirect($"{request.Query["post_logout_redirect_uri"]}?state={Uri.EscapeDataString(request.Query["state"]!)}"));
    }

    public string Address => _app.Urls.Single();

    public Account Account { get; set; } = Account.With("operator");

    public string TokenAudience { get; set; } = Audience;

    public string? Secret { get; init; }

    public TimeSpan ValidFor { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Tokens that were sent out.</summary>
    public ConcurrentQueue<(string Access, string Id)> Issued { get; } = [];

    public static async Task<PlayedProvider> StartAsync(bool endsSessions = true, string? secret = null)
    {
        var provider = new PlayedProvider(endsSessions) { Secret = secret };
        await provider._app.StartAsync(TestContext.Current.CancellationToken);
        return provider;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _rsa.Dispose();
    }

    private IResult Discovery(bool endsSessions)
    {
        var document = new Dictionary<string, object>
        {
            ["issuer"] = Address,
            ["authorization_endpoint"] = $"{Address}/authorize",
            ["token_endpoint"] = $"{Address}/token",
            ["jwks_uri"] = $"{Address}/keys",
        };
        if (endsSessions)
            document["end_session_endpoint"] = $"{Address}/end";
        return Results.Json(document);
    }

    private IResult Keys()
    {
        var key = _rsa.ExportParameters(includePrivateParameters: false);
        return Results.Json(new { keys = new[] { new { kty = "RSA", use = "sig", alg = "RS256", kid = _key.KeyId, n = Base64UrlEncoder.Encode(key.Modulus!), e = Base64UrlEncoder.Encode(key.Exponent!) } } });
    }

    private IResult Authorize(HttpRequest request)
    {
        var asked = request.Query;
        if (asked["client_id"] != ClientId || asked["response_type"] != "code" || asked["code_challenge_method"] != "S256" || asked["code_challenge"].Count != 1)
            return Results.BadRequest("expected the code flow with PKCE of a known client");
        var code = Guid.NewGuid().ToString("N");
        _codes[code] = asked;
        return Results.Redirect(QueryHelpers.AddQueryString(asked["redirect_uri"]!, new Dictionary<string, string?> { ["code"] = code, ["state"] = asked["state"] }));
    }

    private async Task<IResult> TokenAsync(HttpRequest request)
    {
        var form = await request.ReadFormAsync();
        if (!_codes.TryRemove(form["code"].ToString(), out var asked)
            || form["client_id"] != ClientId
            || (Secret is not null && form["client_secret"] != Secret)
            || form["redirect_uri"] != asked["redirect_uri"]
            || Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString()))) != asked["code_challenge"])
            return Results.Json(new { error = "invalid_grant" }, statusCode: (int)HttpStatusCode.BadRequest);

        var access = Sign(TokenAudience, Account.Claims, ("scope", asked["scope"].ToString()));
        var id = Sign(ClientId, Account.IdClaims, ("nonce", asked["nonce"].ToString()));
        Issued.Enqueue((access, id));
        return Results.Json(new { access_token = access, id_token = id, token_type = "Bearer", expires_in = (int)ValidFor.TotalSeconds });
    }

    private string Sign(string audience, IReadOnlyDictionary<string, object> claims, (string Name, string Value) more) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = Address,
        Audience = audience,
        Claims = new Dictionary<string, object>(claims) { ["sub"] = Subject, [more.Name] = more.Value },
        Subject = new ClaimsIdentity(),
        Expires = DateTime.UtcNow.Add(ValidFor),
        SigningCredentials = new SigningCredentials(_key, SecurityAlgorithms.RsaSha256),
    });
}
