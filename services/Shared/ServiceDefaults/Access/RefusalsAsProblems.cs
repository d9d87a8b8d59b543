using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>What the handler of a policy says of a refusal. ASP.NET Core has a place for it, and loses it where the caller is anonymous.</summary>
internal sealed record WhyRefused(string Detail);

/// <summary>What a policy refuses, as problem details.</summary>
internal sealed class RefusalsAsProblems : IAuthorizationMiddlewareResultHandler
{
    public Task HandleAsync(RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult) =>
        authorizeResult.Succeeded
            ? next(context)
            : Problems.Of(
                StatusCodes.Status403Forbidden,
                "caller-not-allowed",
                context.Features.Get<WhyRefused>()?.Detail ?? "This is for somebody else.").ExecuteAsync(context);
}
