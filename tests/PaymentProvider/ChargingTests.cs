using System.Net;
using DaprOrders.Tests;

namespace DaprOrders.PaymentProvider.Tests;

public sealed class ChargingTests : IDisposable
{
    private readonly ProviderHost _provider = new();

    public void Dispose() => _provider.Dispose();

    [Fact]
    public async Task A_good_card_is_charged_and_found_again()
    {
        var answer = await _provider.ChargeAsync(ProviderHost.CardOk, "k1");

        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        var charge = await answer.JsonAsync();
        Assert.Equal(19.00m, charge.GetProperty("amount").GetDecimal());
        Assert.Equal("succeeded", charge.GetProperty("status").GetString());
        var found = await _provider.Client.GetAsync(answer.Headers.Location, TestContext.Current.CancellationToken);
        Assert.Equal(charge.GetRawText(), (await found.JsonAsync()).GetRawText());
    }

    [Fact]
    public async Task The_same_key_charges_once_and_answers_the_same()
    {
        var first = await _provider.ChargeAsync(ProviderHost.CardOk, "k1");
        var second = await _provider.ChargeAsync(ProviderHost.CardOk, "k1");

        Assert.Equal(first.StatusCode, second.StatusCode);
        Assert.Equal((await first.JsonAsync()).GetRawText(), (await second.JsonAsync()).GetRawText());
        Assert.False(first.Headers.Contains("Idempotency-Replayed"));
        Assert.True(second.Headers.Contains("Idempotency-Replayed"));
        Assert.Single((await _provider.LedgerAsync()).Entries);
    }

    [Fact]
    public async Task Many_calls_at_once_with_one_key_charge_once()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => _provider.ChargeAsync(ProviderHost.CardOk, "k1")));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.Created, answer.StatusCode));
        Assert.Single((await _provider.LedgerAsync()).Entries);
    }

    [Fact]
    public async Task Calls_without_a_key_are_charges_of_their_own()
    {
        await _provider.ChargeAsync(ProviderHost.CardOk);
        await _provider.ChargeAsync(ProviderHost.CardOk);

        Assert.Equal(2, (await _provider.LedgerAsync()).Entries.Count);
    }

    [Fact]
    public async Task A_key_with_another_body_is_refused()
    {
        await _provider.ChargeAsync(ProviderHost.CardOk, "k1");
        var answer = await _provider.ChargeAsync(ProviderHost.Charge(PaymentMethods.Ok, 20), "k1");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        Assert.Equal("idempotency-key-reused", await answer.CodeAsync());
        Assert.Single((await _provider.LedgerAsync()).Entries);
    }

    [Fact]
    public async Task A_declined_card_answers_402_each_time_and_leaves_no_charge()
    {
        for (var call = 0; call < 2; call++)
        {
            var answer = await _provider.ChargeAsync(ProviderHost.Charge(PaymentMethods.Declined), "k1");
            Assert.Equal(HttpStatusCode.PaymentRequired, answer.StatusCode);
            Assert.Equal("card_declined", await answer.CodeAsync());
        }

        Assert.Empty((await _provider.LedgerAsync()).Entries);
    }

    [Fact]
    public async Task A_flaky_card_fails_twice_for_each_key_and_then_charges_once()
    {
        foreach (var key in new[] { "k1", "k2" })
        {
            var statuses = new List<int>();
            for (var call = 0; call < 4; call++)
            {
                statuses.Add((int)(await _provider.ChargeAsync(ProviderHost.Charge(PaymentMethods.Flaky), key)).StatusCode);
            }

            Assert.Equal([503, 503, 201, 201], statuses);
        }

        Assert.Equal(2, (await _provider.LedgerAsync()).Entries.Count);
    }

    [Fact]
    public async Task A_slow_card_is_answered_after_three_seconds()
    {
        var answer = _provider.ChargeAsync(ProviderHost.Charge(PaymentMethods.Slow), "k1");
        await Answers.UntilAsync(async () => (await _provider.LedgerAsync()).Entries.Count == 1);
        Assert.False(answer.IsCompleted);

        await Answers.UntilAsync(() =>
        {
            _provider.Clock.Advance(PaymentMethods.SlowAnswer);
            return Task.FromResult(answer.IsCompleted);
        });

        Assert.Equal(HttpStatusCode.Created, (await answer).StatusCode);
    }

    [Fact]
    public async Task A_card_that_times_out_is_charged_and_a_second_call_with_the_key_is_told_so()
    {
        var first = _provider.ChargeAsync(ProviderHost.Charge(PaymentMethods.NeverAnswers), "k1");
        await Answers.UntilAsync(async () => (await _provider.LedgerAsync()).Entries.Count == 1);

        var second = await _provider.ChargeAsync(ProviderHost.Charge(PaymentMethods.NeverAnswers), "k1");

        Assert.Equal(HttpStatusCode.Created, second.StatusCode);
        Assert.False(first.IsCompleted);
        Assert.Single((await _provider.LedgerAsync()).Entries);
    }

    [Theory]
    [InlineData("""{"amount":0,"currency":"EUR","paymentMethod":"pm_card_ok","reference":"r"}""", "amount")]
    [InlineData("""{"amount":-1,"currency":"EUR","paymentMethod":"pm_card_ok","reference":"r"}""", "amount")]
    [InlineData("""{"amount":1.001,"currency":"EUR","paymentMethod":"pm_card_ok","reference":"r"}""", "amount")]
    [InlineData("""{"amount":1000001,"currency":"EUR","paymentMethod":"pm_card_ok","reference":"r"}""", "amount")]
    [InlineData("""{"currency":"EUR","paymentMethod":"pm_card_ok","reference":"r"}""", "amount")]
    [InlineData("""{"amount":1,"currency":"eur","paymentMethod":"pm_card_ok","reference":"r"}""", "currency")]
    [InlineData("""{"amount":1,"paymentMethod":"pm_card_ok","reference":"r"}""", "currency")]
    [InlineData("""{"amount":1,"currency":"EUR","reference":"r"}""", "paymentMethod")]
    [InlineData("""{"amount":1,"currency":"EUR","paymentMethod":"pm_card_ok"}""", "reference")]
    [InlineData("""{"amount":1,"currency":"EUR","paymentMethod":"pm_card_ok","reference":""}""", "reference")]
    public async Task A_bad_field_is_named(string body, string field)
    {
        var answer = await _provider.Client.PostAsync("/charges", new StringContent(body, null, "application/json"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("invalid-request", await answer.CodeAsync());
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty(field, out _));
    }

    [Theory]
    [InlineData("{", "application/json", 400, "invalid-request")]
    [InlineData("""{"amount":"many"}""", "application/json", 400, "invalid-request")]
    [InlineData("null", "application/json", 400, "invalid-request")]
    [InlineData("amount=1", "application/x-www-form-urlencoded", 415, "unsupported-media-type")]
    public async Task What_is_no_json_request_is_refused_as_such(string body, string contentType, int status, string code)
    {
        var answer = await _provider.Client.PostAsync("/charges", new StringContent(body, null, contentType), TestContext.Current.CancellationToken);

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(code, await answer.CodeAsync());
    }

    [Fact]
    public async Task An_unknown_payment_method_is_refused()
    {
        var answer = await _provider.ChargeAsync(ProviderHost.Charge("pm_gold"));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        Assert.Equal("unknown-payment-method", await answer.CodeAsync());
    }

    [Theory]
    [InlineData("with space")]
    [InlineData("caf\u00e9")]
    public async Task A_key_that_is_not_visible_ascii_is_refused(string key)
    {
        var answer = await _provider.ChargeAsync(ProviderHost.CardOk, key);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty("Idempotency-Key", out _));
    }

    [Theory]
    [InlineData("ch_00000001")]
    [InlineData("ch_ffffffffffffffff")]
    [InlineData("ch_xyz")]
    [InlineData("nothing")]
    public async Task An_unknown_charge_is_not_found(string id)
    {
        await _provider.ChargeAsync(ProviderHost.CardOk);
        var answer = await _provider.Client.GetAsync($"/charges/{id}", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("charge-not-found", await answer.CodeAsync());
    }

    [Fact]
    public async Task The_openapi_document_describes_every_answer_of_every_operation()
    {
        using var answer = await _provider.Client.GetAsync("/openapi/v1.json", TestContext.Current.CancellationToken);

        OpenApiDocument.Describes(
            await answer.JsonAsync(),
            "POST /charges: 201 400 402 413 415 422 503",
            "GET /charges/{id}: 200 404",
            "POST /charges/{id}/refunds: 201 400 404 413 415 422 503",
            "GET /ledger: 200 400");
    }
}
