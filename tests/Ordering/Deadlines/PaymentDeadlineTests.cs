using System.Net;
using Dapr.Actors;
using Dapr.Actors.Client;
using DaprOrders.Contracts;
using DaprOrders.Ordering.Deadlines;
using DaprOrders.Ordering.Tests.Running;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Ordering.Tests.Deadlines;

/// <summary>Ordering with two seconds to pay, on real reminders.</summary>
public sealed class OrderingInAHurry() : RunningOrdering(paymentDeadline: TimeSpan.FromSeconds(2));

public class PaymentDeadlineTests(OrderingInAHurry ordering) : IClassFixture<OrderingInAHurry>
{
    [Fact]
    public async Task An_order_that_nobody_pays_is_published_again_and_then_cancelled()
    {
        var orderId = await ordering.PlaceAsync();

        Assert.Equal(
            ["OrderCreated", "OrderCreated", "OrderCancelled", "OrderCancelled"],
            await ordering.Published.OfOrderAsync(orderId, types => types.Count(type => type == nameof(OrderCancelled)) == 2));

        var cancellation = (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("cancellation");
        Assert.Equal("paymentTimeout", cancellation.GetProperty("reason").GetString());
    }

    [Fact]
    public async Task A_paid_order_is_published_again_but_not_cancelled()
    {
        var orderId = await ordering.PlacePaidAsync();

        await ordering.Published.OfOrderAsync(orderId, types => types.Count(type => type == nameof(OrderPaid)) == 4);

        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task The_reminder_is_removed_when_nothing_is_left_to_do()
    {
        var actorId = $"test-{Guid.NewGuid():N}";
        var orderId = await ordering.PlaceAsync();
        var actor = ordering.Services.GetRequiredService<IActorProxyFactory>().CreateActorProxy<IDeadlineActor>(new ActorId(actorId), nameof(DeadlineActor));
        await actor.RegisterAsync(new DeadlineBatch(1, DateTimeOffset.UtcNow.AddSeconds(1), [orderId, "never-placed"]));
        Assert.Equal(HttpStatusCode.OK, await ReminderAsync(actorId));

        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (await ReminderAsync(actorId) != HttpStatusCode.NotFound)
            await poll.WaitForNextTickAsync(TestContext.Current.CancellationToken);

        Assert.Equal("cancelled", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }

    private async Task<HttpStatusCode> ReminderAsync(string actorId)
    {
        using var dapr = new HttpClient { BaseAddress = ordering.Sidecar };
        using var answer = await dapr.GetAsync(
            new Uri($"/v1.0/actors/{nameof(DeadlineActor)}/{actorId}/reminders/{DeadlineActor.Reminder}", UriKind.Relative), TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
