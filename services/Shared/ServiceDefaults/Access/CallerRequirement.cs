using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.ServiceDefaults.Access;

public static class CallerConventions
{
    /// <summary>
    /// Only these applications may call this, by Dapr invocation; and operators, and viewers what is read. Without APP_API_TOKEN a call that names no application is taken too, for
    /// development; with it, the call must carry it, as the sidecar does.
    /// </summary>
    public static TBuilder RequireCaller<TBuilder>(this TBuilder builder, params string[] appIds)
        where TBuilder : IEndpointConventionBuilder
    {
        builder.RequireAuthorization(policy => policy.AddRequirements(new CallerRequirement(appIds)));
        return builder.AnswersProblems(StatusCodes.Status403Forbidden);
    }
}

internal sealed record CallerRequirement(IReadOnlyList<string> AppIds) : IAuthorizationRequirement;

internal sealed class CallerHandler(IConfiguration configuration, Authentication authentication) : AuthorizationHandler<CallerRequirement>
{
    private readonly AppToken? _token = AppToken.Of(configuration);

    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, CallerRequirement requirement)
    {
        var http = (HttpContext)context.Resource!;
        if (!Authentication.IsStaff(http) && WhyNot(http.Request, requirement.AppIds) is { } reason)
            http.Features.Set(new WhyRefused(reason));
        else
            context.Succeed(requirement);
        return Task.CompletedTask;
    }

    private string? WhyNot(HttpRequest request, IReadOnlyList<string> appIds)
    {
        var callers = Callers.Of(request);
        if (callers.Count == 0 && _token is null && !authentication.IsOn)
            return null;

        var expected = $"Only {string.Join(", ", appIds)} may call this, by Dapr invocation";
        if (callers is not [var caller] || !appIds.Contains(caller))
            return $"{expected}; got a call by {(callers.Count == 0 ? "nobody that is named" : string.Join(", ", callers))}.";
        return _token?.IsIn(request) == false ? $"{expected}; the call does not carry the app token that a sidecar sends." : null;
    }
}
