using System.Collections.Concurrent;
using System.Net;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// Buyers who order all the time: one to five lines, good cards and bad ones, now and then a cancellation. A buyer whose order got no
/// answer, or a refusal that passes, sends it again under its key, as the API asks; what was acknowledged is remembered.
/// </summary>
internal sealed class Load(Shop shop, IReadOnlyList<string> skus, int seed)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);
    private static readonly string[] Cards = ["pm_card_ok", "pm_card_ok", "pm_card_ok", "pm_card_ok", "pm_card_ok", "pm_card_ok", "pm_card_declined", "pm_flaky"];

    private readonly ConcurrentBag<string> _acknowledged = [];
    private int _sentAgain;

    public IReadOnlyCollection<string> Acknowledged => _acknowledged;

    /// <summary>How often an order was sent again since it was refused or not answered.</summary>
    public int SentAgain => _sentAgain;

    /// <summary>Buyers order one after the other until they are told to stop; each then gets its last answer.</summary>
    public Task RunAsync(int buyers, TimeSpan between, CancellationToken stop) =>
        Task.WhenAll(Enumerable.Range(0, buyers).Select(buyer => BuyAsync(buyer, between, stop)));

    public async Task PlaceAsync(int buyer, Random random)
    {
        var key = $"{seed}-{Guid.NewGuid():N}";
        var lines = random.GetItems([.. skus], random.Next(1, 6)).Distinct().Select(sku => new { sku, quantity = random.Next(1, 4) }).ToArray();
        var order = new { customerId = $"c-{buyer}", paymentMethod = Cards[random.Next(Cards.Length)], lines };
        var placed = await UntilAnsweredAsync(
            () => shop.SendAsync(HttpMethod.Post, "ordering", "orders", order, ("Idempotency-Key", key)), HttpStatusCode.Created, HttpStatusCode.OK);
        var id = placed["orderId"]!.GetValue<string>();
        _acknowledged.Add(id);
        if (random.Next(12) == 0)
        {
            await UntilAnsweredAsync(
                () => shop.SendAsync(HttpMethod.Post, "ordering", $"orders/{id}/cancellation", new { reason = "changed my mind" }), HttpStatusCode.OK, HttpStatusCode.Conflict);
        }
    }

    private async Task BuyAsync(int buyer, TimeSpan between, CancellationToken stop)
    {
        var random = new Random(seed + buyer);
        while (!stop.IsCancellationRequested)
        {
            await PlaceAsync(buyer, random);
            // Stopping is no failure of anybody's.
            await Task.Delay(between, stop).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private async Task<System.Text.Json.Nodes.JsonNode> UntilAnsweredAsync(Func<Task<HttpResponseMessage>> send, params HttpStatusCode[] expected)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            try
            {
                using var answer = await send();
                // A refusal that passes: the service, its store or its sidecar are away or in a hurry. Anything else is an answer.
                if ((int)answer.StatusCode < 500 && answer.StatusCode != HttpStatusCode.TooManyRequests)
                    return await Shop.ReadAsync(answer, expected);
                if (patience.IsCancellationRequested)
                    Assert.Fail($"Refused for {Patience}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}");
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !TestContext.Current.CancellationToken.IsCancellationRequested)
            {
                if (patience.IsCancellationRequested)
                    Assert.Fail($"Not answered for {Patience}: {e.Message}");
            }

            Interlocked.Increment(ref _sentAgain);
            await Task.Delay(Pause, TestContext.Current.CancellationToken);
        }
    }
}
