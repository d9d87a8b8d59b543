using DaprOrders.ServiceDefaults.Access;
using Microsoft.AspNetCore.Components.Authorization;

namespace DaprOrders.Console.SigningIn;

/// <summary>Who looks at a page, and what the services will let them do. It is the services that decide; pages only do not offer what would be refused.</summary>
public sealed class Visitor(Authentication authentication, AuthenticationStateProvider state)
{
    /// <summary>The claim of the session's cookie that holds the token which is sent on.</summary>
    public const string TokenClaim = "access_token";

    public bool MustSignIn => authentication.IsOn;

    /// <summary>Null where nobody has to say who they are.</summary>
    public async Task<string?> NameAsync() => authentication.IsOn ? (await state.GetAuthenticationStateAsync()).User.Identity?.Name : null;

    /// <summary>The role that allows more. Null: none that is of use here, or nobody has to say who they are.</summary>
    public async Task<string?> RoleAsync()
    {
        var user = (await state.GetAuthenticationStateAsync()).User;
        return new[] { Authentication.OperatorRole, Authentication.ViewerRole }.FirstOrDefault(user.IsInRole);
    }

    /// <summary>True for operators, and where nobody has to say who they are.</summary>
    public async Task<bool> MayActAsync() => !authentication.IsOn || (await state.GetAuthenticationStateAsync()).User.IsInRole(Authentication.OperatorRole);

    public async Task<string?> TokenAsync() => authentication.IsOn ? (await state.GetAuthenticationStateAsync()).User.FindFirst(TokenClaim)?.Value : null;
}
