using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>What the handler of a policy says of a refusal. ASP.NET Core has a place for it, and loses it where the caller is anonymous.</summary>
internal sealed record WhyRefused(string Detail);

/// <summary>What a policy refuses, as problem details.</summary>
internal sealed class RefusalsAsProblems(Authentication authentication) : IAuthorizationMiddlewareResultHandler
{
    public async Task HandleAsync(RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult)
    {
        if (authorizeResult.Succeeded)
        {
            await next(context);
        }
        else if (context.Features.Get<WhyRefused>() is { } why)
        {
            await Problems.Of(StatusCodes.Status403Forbidden, "caller-not-allowed", why.Detail).ExecuteAsync(context);
        }
        else if (authorizeResult.Challenged && authentication.IsOn)
        {
            // Says in WWW-Authenticate what is wrong with a token that came.
            await context.ChallengeAsync();
            await Problems.Of(
                StatusCodes.Status401Unauthorized, "unauthenticated", "Expected a bearer token that is valid here: send Authorization: Bearer <token>.").ExecuteAsync(context);
        }
        else
        {
            await Problems.Of(
                StatusCodes.Status403Forbidden, "operators-only", $"This is for operators: the token needs the role '{Authentication.OperatorRole}'.").ExecuteAsync(context);
        }
    }
}
