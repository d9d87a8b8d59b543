using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using DaprOrders.Doubles;
using DaprOrders.Ordering.Tests.Running;

[assembly: AssemblyFixture(typeof(DaprOrders.Ordering.Tests.FollowingOrders.OrderingWithTokens))]

namespace DaprOrders.Ordering.Tests.FollowingOrders;

/// <summary>An Ordering whose clients say who they are.</summary>
public sealed class OrderingWithTokens() : RunningOrdering(TimeSpan.FromMinutes(15), BearerTokens.AppToken, BearerTokens.Settings);

public sealed class OwnOrdersTests(OrderingWithTokens ordering)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> RoutesOfAnOrder => new()
    {
        { "GET", "/orders/{0}" },
        { "GET", "/orders/{0}?version=1" },
        { "GET", "/orders/{0}/events" },
        { "POST", "/orders/{0}/cancellation" },
    };

    [Theory]
    [MemberData(nameof(RoutesOfAnOrder))]
    public async Task An_order_is_its_buyers_and_for_others_it_does_not_exist(string method, string route)
    {
        using var placed = await SendAsync("POST", "/orders", BearerTokens.Of("c-42"), RunningOrdering.ValidOrder("c-42"));
        Assert.Equal(HttpStatusCode.Created, placed.StatusCode);
        var path = string.Format(null, route, (await placed.JsonAsync()).GetProperty("orderId").GetString());

        using var nobody = await SendAsync(method, path, token: null);
        using var another = await SendAsync(method, path, BearerTokens.Of("c-43"));
        using var unknown = await SendAsync(method, string.Format(null, route, "unknown"), BearerTokens.Of("c-43"));
        using var buyer = await SendAsync(method, path, BearerTokens.Of("c-42"));
        using var support = await SendAsync(method, path, BearerTokens.Of("ann", "operator"));

        Assert.Equal(HttpStatusCode.Unauthorized, nobody.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, another.StatusCode);
        Assert.Equal((await unknown.JsonAsync()).GetProperty("type").GetString(), (await another.JsonAsync()).GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.OK, buyer.StatusCode);
        Assert.Equal(HttpStatusCode.OK, support.StatusCode);
    }

    [Fact]
    public async Task A_buyer_places_orders_in_their_own_name_so_that_a_key_is_theirs()
    {
        using var own = await SendAsync("POST", "/orders", BearerTokens.Of("c-42"), RunningOrdering.ValidOrder("c-42"), "key-1");
        using var stolen = await SendAsync("POST", "/orders", BearerTokens.Of("c-43"), RunningOrdering.ValidOrder("c-42"), "key-1");
        using var sameKey = await SendAsync("POST", "/orders", BearerTokens.Of("c-43"), RunningOrdering.ValidOrder("c-43"), "key-1");
        using var support = await SendAsync("POST", "/orders", BearerTokens.Of("ann", "operator"), RunningOrdering.ValidOrder("c-42"), "key-1");

        Assert.Equal(HttpStatusCode.Created, own.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, stolen.StatusCode);
        Assert.Equal("urn:daprorders:not-your-account", (await stolen.JsonAsync()).GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.Created, sameKey.StatusCode);
        Assert.Equal(HttpStatusCode.OK, support.StatusCode);
    }

    private async Task<HttpResponseMessage> SendAsync(string method, string path, string? token, object? body = null, string? key = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : JsonContent.Create(body) };
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return await ordering.Client.SendAsync(request, Cancellation);
    }
}
