using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.ServiceDefaults.Access;

/// <summary>The policies of routes. A route without one is for operators (role <c>operator</c>), and for viewers (<c>viewer</c>) to read.</summary>
public static class Policies
{
    /// <summary>Anybody who says who they are.</summary>
    public const string Buyer = "buyer";
}

public static class Buyers
{
    /// <summary>True for operators, for viewers who only read, and for everybody where nobody has to say who they are.</summary>
    public static bool MayActForAll(this HttpContext http) => !AuthenticationOf(http).IsOn || Authentication.IsStaff(http);

    /// <summary>True for the customer, too.</summary>
    public static bool MayActFor(this HttpContext http, string customerId) =>
        http.MayActForAll() || http.User.FindFirst(AuthenticationOf(http).CustomerClaim)?.Value == customerId;

    /// <summary>For a route with <c>{customerId}</c>: only that customer, and operators. Others: 403.</summary>
    public static RouteHandlerBuilder RequireCustomerOfRoute(this RouteHandlerBuilder route) => route
        .RequireAuthorization(Policies.Buyer)
        .AddEndpointFilter((context, next) => context.HttpContext.MayActFor((string)context.HttpContext.Request.RouteValues["customerId"]!)
            ? next(context)
            : ValueTask.FromResult<object?>(NotYours()));

    public static ProblemHttpResult NotYours() => Problems.Of(
        StatusCodes.Status403Forbidden, "not-your-account", "The token belongs to another customer: a buyer sees and places their own orders only.");

    private static Authentication AuthenticationOf(HttpContext http) => http.RequestServices.GetRequiredService<Authentication>();
}
