using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.IdentityModel.JsonWebTokens;

namespace DaprOrders.Console.SigningIn;

/// <summary>What the session's cookie holds: who somebody is, what they may do, and the token that is sent on. It ends with that token.</summary>
internal static class Session
{
    public static (ClaimsPrincipal Who, AuthenticationProperties Properties) Of(string name, IEnumerable<string> roles, string token)
    {
        var claims = roles.Select(role => new Claim("role", role)).Append(new Claim("name", name)).Append(new Claim(Visitor.TokenClaim, token));
        var identity = new ClaimsIdentity(claims, CookieAuthenticationDefaults.AuthenticationScheme, "name", "role");
        return (new ClaimsPrincipal(identity), new AuthenticationProperties { ExpiresUtc = new JsonWebToken(token).ValidTo });
    }
}
