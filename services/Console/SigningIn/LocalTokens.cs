using System.Globalization;
using System.Security.Claims;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace DaprOrders.Console.SigningIn;

/// <summary>
/// The tokens that <c>dotnet user-jwts</c> would make, by the key that it keeps for all services on a developer's machine. There are none outside
/// of the environment Development, whatever the settings hold.
/// </summary>
public sealed class LocalTokens
{
    private const string Section = "Authentication:Schemes:Bearer";

    private static readonly TimeSpan ValidFor = TimeSpan.FromHours(12);

    private readonly string _issuer;
    private readonly string _audience;
    private readonly SigningCredentials _credentials;
    private readonly string _roleClaim;

    private LocalTokens(string issuer, string audience, SymmetricSecurityKey key, string roleClaim) =>
        (_issuer, _audience, _credentials, _roleClaim) = (issuer, audience, new SigningCredentials(key, SecurityAlgorithms.HmacSha256), roleClaim);

    /// <summary>Null where there is no such key, or this is no developer's machine.</summary>
    public static LocalTokens? From(IConfiguration configuration, IHostEnvironment environment)
    {
        if (!environment.IsDevelopment())
            return null;
        var bearer = configuration.GetSection(Section);
        var issuer = bearer["ValidIssuer"];
        var audience = bearer["ValidAudience"] ?? bearer.GetSection("ValidAudiences").GetChildren().FirstOrDefault()?.Value;
        var key = bearer.GetSection("SigningKeys").GetChildren().FirstOrDefault(found => found["Issuer"] == issuer && found["Value"] is not null);
        return issuer is null || audience is null || key is null ? null : new LocalTokens(
            issuer, audience, new SymmetricSecurityKey(Convert.FromBase64String(key["Value"]!)) { KeyId = key["Id"] }, configuration["Auth:RoleClaim"] ?? "role");
    }

    public string Issue(string name, string role, TimeProvider time) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = _issuer,
        Audience = _audience,
        Claims = new Dictionary<string, object> { ["sub"] = name, [_roleClaim] = role, ["jti"] = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture) },
        Subject = new ClaimsIdentity(),
        NotBefore = time.GetUtcNow().UtcDateTime,
        Expires = time.GetUtcNow().Add(ValidFor).UtcDateTime,
        SigningCredentials = _credentials,
    });
}
