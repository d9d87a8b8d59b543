using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;
using DaprOrders.ServiceDefaults.Access;

namespace DaprOrders.Ordering.FollowingOrders;

public static class OwnOrders
{
    /// <summary>
    /// For a route with <c>{orderId}</c>: the order's buyer, and operators. To others it does not exist, so that ids cannot be tried. Costs a read, and
    /// only where buyers say who they are.
    /// </summary>
    public static RouteHandlerBuilder RequireOwnOrder(this RouteHandlerBuilder route) => route
        .RequireAuthorization(Policies.Buyer)
        .AddEndpointFilter(async (context, next) =>
        {
            var http = context.HttpContext;
            var orderId = (string)http.Request.RouteValues["orderId"]!;
            return http.MayActForAll() || await BuyerOfAsync(http, orderId) is not { } buyer || http.MayActFor(buyer)
                ? await next(context)
                : FollowOrdersEndpoints.NotFound(orderId, version: null);
        });

    /// <summary>Null when there is no such order.</summary>
    private static async Task<string?> BuyerOfAsync(HttpContext http, string orderId)
    {
        var store = http.RequestServices.GetRequiredService<EventStore>();
        return ServiceDefaults.Errors.FieldErrors.IsId(orderId) && (await store.LoadAsync(Order.Category, orderId, http.RequestAborted)).State is Order.Placed order
            ? order.Terms.CustomerId
            : null;
    }
}
