using System.Net;

namespace DaprOrders.PaymentProvider.Tests;

public sealed class RefundingTests : IDisposable
{
    private readonly ProviderHost _provider = new();

    public void Dispose() => _provider.Dispose();

    [Fact]
    public async Task A_charge_is_given_back_once_under_one_key()
    {
        var charge = await ChargedAsync();
        var first = await _provider.PostAsync($"/charges/{charge}/refunds", new { }, "r1");
        var second = await _provider.PostAsync($"/charges/{charge}/refunds", new { }, "r1");

        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(19.00m, (await first.JsonAsync()).GetProperty("amount").GetDecimal());
        Assert.Equal((await first.JsonAsync()).GetRawText(), (await second.JsonAsync()).GetRawText());
        var ledger = await _provider.LedgerAsync();
        Assert.Equal(["charge", "refund"], ledger.Entries.Select(entry => entry.Kind));
        Assert.All(ledger.Entries, entry => Assert.Equal(charge, entry.ChargeId));
        var found = await _provider.Client.GetAsync($"/charges/{charge}", TestContext.Current.CancellationToken);
        Assert.Equal("refunded", (await found.JsonAsync()).GetProperty("status").GetString());
    }

    [Fact]
    public async Task No_more_is_given_back_than_was_charged()
    {
        var charge = await ChargedAsync();
        var answers = new List<(int, decimal?)>();
        foreach (var (key, amount) in new (string, decimal?)[] { ("r1", 10m), ("r2", 9.01m), ("r3", null), ("r4", null) })
        {
            var answer = await _provider.PostAsync($"/charges/{charge}/refunds", new { amount }, key);
            answers.Add(((int)answer.StatusCode, answer.IsSuccessStatusCode ? (await answer.JsonAsync()).GetProperty("amount").GetDecimal() : null));
        }

        Assert.Equal([(201, 10m), (422, null), (201, 9m), (422, null)], answers);
    }

    [Fact]
    public async Task A_key_of_a_charge_is_no_key_of_a_refund()
    {
        var charge = await ChargedAsync("k1");
        var answer = await _provider.PostAsync($"/charges/{charge}/refunds", new { }, "k1");

        Assert.Equal("idempotency-key-reused", await answer.CodeAsync());
    }

    [Theory]
    [InlineData("ch_00000000", 0, 400)]
    [InlineData("ch_00000000", -1, 400)]
    [InlineData("ch_00000099", 1, 404)]
    public async Task A_bad_refund_is_refused(string charge, int amount, int status)
    {
        await ChargedAsync();
        Assert.Equal(status, (int)(await _provider.PostAsync($"/charges/{charge}/refunds", new { amount })).StatusCode);
        Assert.Single((await _provider.LedgerAsync()).Entries);
    }

    private async Task<string> ChargedAsync(string? key = null) =>
        (await (await _provider.ChargeAsync(ProviderHost.CardOk, key)).JsonAsync()).GetProperty("id").GetString()!;
}
