using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using DaprOrders.Contracts;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.PaymentProvider;
using DaprOrders.Payments.Payments;
using DaprOrders.Tests;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Payments.Tests;

/// <summary>Payments with the real provider behind it.</summary>
public sealed class PaymentTests : IDisposable
{
    private readonly Provider _provider = new();
    private readonly OrderStream _order = new OrderStream().Created(("tea", 1));
    private ServiceHost<PaymentsOptions> _payments;

    public PaymentTests() => _payments = Host();

    public void Dispose()
    {
        _payments.Dispose();
        _provider.Dispose();
    }

    [Fact]
    public async Task An_order_whose_goods_are_held_is_charged_once()
    {
        _order.StockReserved();
        Assert.Equal(["SUCCESS", "SUCCESS"], await _payments.DeliverAsync(_order, 1, 2));
        await BecomesAsync("authorized");

        var (status, payment) = await _payments.GetAsync($"/payments/{_order.OrderId}");
        Assert.Equal((200, "authorized"), (status, payment.GetProperty("status").GetString()));
        Assert.Equal(19.00m, payment.GetProperty("amount").GetProperty("amount").GetDecimal());
        Assert.Equal(["PaymentRequested", "PaymentAuthorized"], payment.GetProperty("history").EnumerateArray().Select(entry => entry.GetProperty("type").GetString()));
        await Eventually.IsAsync(() => Task.FromResult(_payments.Published.Count == 2));
        Assert.Equal(["charge"], await LedgerAsync());
    }

    [Theory]
    [InlineData(PaymentMethods.Flaky, "authorized", "charge")]
    [InlineData(PaymentMethods.NeverAnswers, "authorized", "charge")]
    [InlineData(PaymentMethods.Slow, "authorized", "charge")]
    [InlineData(PaymentMethods.Declined, "declined", "")]
    [InlineData("pm_unheard_of", "declined", "")]
    public async Task Every_payment_method_ends_in_one_clear_outcome(string paymentMethod, string outcome, string ledger)
    {
        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.StockReserved(paymentMethod)));

        await BecomesAsync(outcome);
        Assert.Equal(ledger, string.Join(',', await LedgerAsync()));
    }

    [Fact]
    public async Task Duplicates_at_once_and_lost_messages_charge_once()
    {
        _order.StockReserved();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _payments.DeliverAsync(_order, 2)));
        await _payments.DeliverAsync(_order, 1, 2);
        await BecomesAsync("authorized");

        Assert.Equal(["charge"], await LedgerAsync());
        Assert.Equal(["PaymentRequested", "PaymentAuthorized"], await _payments.EventsOfAsync($"payment-{_order.OrderId}"));
    }

    [Fact]
    public async Task A_cancellation_before_the_goods_were_held_charges_nothing()
    {
        await _payments.DeliverAsync(_order.Cancelled(), 2, 1);

        Assert.Equal("voided", await StatusAsync());
        Assert.Empty(await LedgerAsync());
    }

    [Fact]
    public async Task A_paid_order_that_is_cancelled_is_refunded_once()
    {
        await _payments.DeliverAsync(_order.StockReserved().Paid(), 1, 2, 3);
        _order.Cancelled();
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _payments.DeliverAsync(_order, 4)));

        await BecomesAsync("refunded");
        Assert.Equal(["charge", "refund"], await LedgerAsync());
    }

    [Fact]
    public async Task A_charge_that_arrives_after_the_cancellation_is_refunded_once()
    {
        // The charge is made, and its answer is lost, but not before the customer has cancelled.
        Restart(("Payments:ProviderTimeout", "00:05:00"));
        var (isCharged, isCancelled) = (new TaskCompletionSource(), new TaskCompletionSource());
        _provider.AfterAnswer = async () =>
        {
            if (isCharged.TrySetResult())
            {
                await isCancelled.Task.WaitAsync(TestContext.Current.CancellationToken);
                throw new HttpRequestException("The answer is lost.");
            }
        };
        await _payments.DeliverAsync(_order.StockReserved(), 2);
        await isCharged.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.Cancelled(), 3));
        isCancelled.SetResult();

        await BecomesAsync("refunded");
        Assert.Equal(["charge", "refund"], await LedgerAsync());
        Assert.Equal(
            ["PaymentRequested", "RefundRequested", "PaymentAuthorized", "PaymentRefunded"],
            await _payments.EventsOfAsync($"payment-{_order.OrderId}"));
    }

    [Fact]
    public async Task A_cancellation_that_overtakes_what_it_cancels_charges_nothing()
    {
        _order.StockReserved().Cancelled();
        await _payments.DeliverAsync(_order, 3);
        await _payments.DeliverAsync(_order, 2, 1);

        Assert.Equal("voided", await StatusAsync());
        Assert.Empty(await LedgerAsync());
        Assert.Equal(0, _payments.Fetches);
    }

    [Fact]
    public async Task What_changes_nothing_is_not_written_down()
    {
        await _payments.DeliverAsync(_order.StockReserved().Paid().Shipped(), 1);
        Assert.Empty(await SeenAsync());

        await _payments.DeliverAsync(_order, 2);
        await _payments.DeliverAsync(_order, 3, 4);
        Assert.Equal([2], await SeenAsync());
        Assert.Equal(0, _payments.Fetches);

        async Task<IEnumerable<long>> SeenAsync() =>
            (await _payments.Store.LoadAsync(Payment.Category, _order.OrderId, TestContext.Current.CancellationToken)).Positions.Values;
    }

    [Fact]
    public async Task A_slow_charge_does_not_hold_up_the_other_orders_of_its_delivery()
    {
        Restart(("Payments:ProviderTimeout", "00:01:00"));
        var slow = new OrderStream().Created(("tea", 1)).StockReserved(PaymentMethods.NeverAnswers);
        _order.StockReserved();

        Assert.Equal(["SUCCESS", "SUCCESS"], await _payments.DeliverAsync([(slow, 2), (_order, 2)]));

        await BecomesAsync("authorized");
        Assert.Equal("requested", (await _payments.GetAsync($"/payments/{slow.OrderId}")).Body.GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_charge_whose_message_was_acknowledged_goes_on_after_a_restart()
    {
        Restart(("Payments:ProviderTimeout", "00:01:00"));
        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.StockReserved(PaymentMethods.NeverAnswers), 2));

        Restart();
        await BecomesAsync("authorized");
        Assert.Equal(["charge"], await LedgerAsync());
    }

    [Fact]
    public async Task A_provider_that_is_away_costs_no_message_and_gets_what_waited_in_order_and_without_a_herd()
    {
        const int Orders = 3_000;
        const int AtOnce = 8;
        Restart(("Payments:MostAtOnce", $"{AtOnce}"), ("Payments:ProbeEvery", "00:00:00.500"));
        _provider.IsDown = true;
        var orders = Enumerable.Range(0, Orders).Select(_ => new OrderStream().Created(("tea", 1)).StockReserved()).ToList();
        foreach (var delivery in orders.Chunk(100))
        {
            Assert.All(await _payments.DeliverAsync([.. delivery.Select(order => (order, 2))]), status => Assert.Equal("SUCCESS", status));
        }

        await Eventually.IsAsync(() => Task.FromResult(_provider.Calls > 4));
        // One look whether it is back after the other, not a call for every payment that waits.
        Assert.InRange(_provider.Calls, 1, Orders / 2);

        Restart(("Payments:MostAtOnce", $"{AtOnce}"), ("Payments:ProviderTimeout", "00:05:00"));
        var charged = new ConcurrentQueue<string>();
        _provider.Charged = charged.Enqueue;
        _provider.IsDown = false;

        await Eventually.IsAsync(() => Task.FromResult(charged.Count >= Orders));
        Assert.Equal(orders.Select(order => order.OrderId).Order(), charged.Order());
        Assert.InRange(_provider.MostAtOnce, 1, AtOnce);
        // In order, but for what is under way at once, of which a busy machine may leave one behind, and for the time of 100 that came in one delivery.
        var places = orders.Select((order, place) => (order.OrderId, place)).ToDictionary(order => order.OrderId, order => order.place);
        var off = charged.Select((orderId, at) => Math.Abs(places[orderId] - at)).ToList();
        Assert.All(off, one => Assert.InRange(one, 0, Orders / 6));
        Assert.InRange(off.Count(one => one > 150), 0, AtOnce);
        await Eventually.IsAsync(async () => (await StatusesAsync(orders)).All(status => status == "authorized"));
    }

    [Fact]
    public async Task While_the_provider_is_away_the_service_says_that_payments_wait_for_it()
    {
        Assert.Equal("Healthy", (await ProviderCheckAsync()).GetProperty("status").GetString());
        _provider.IsDown = true;
        await _payments.DeliverAsync(_order.StockReserved());

        await Eventually.IsAsync(async () => (await ProviderCheckAsync()).GetProperty("status").GetString() == "Degraded");
        Assert.Contains("payments wait", (await ProviderCheckAsync()).GetProperty("reason").GetString(), StringComparison.Ordinal);

        _provider.IsDown = false;
        await BecomesAsync("authorized");
        Assert.Equal("Healthy", (await ProviderCheckAsync()).GetProperty("status").GetString());

        async Task<JsonElement> ProviderCheckAsync() => (await _payments.GetAsync("/healthz/ready")).Body.GetProperty("checks").GetProperty("payment-provider");
    }

    [Theory]
    [InlineData(409)]
    [InlineData(503)]
    public async Task One_payment_that_the_provider_has_no_clear_answer_to_holds_up_nobody(int status)
    {
        var odd = new OrderStream().Created(("tea", 1)).StockReserved("pm_odd");
        var isOdd = true;
        _provider.Answer = request => Volatile.Read(ref isOdd) && Body(request).Contains("pm_odd", StringComparison.Ordinal) ? Refusal(status, "later") : null;
        var others = Enumerable.Range(0, 20).Select(_ => new OrderStream().Created(("tea", 1)).StockReserved()).ToList();

        await _payments.DeliverAsync(odd, 2);
        foreach (var other in others)
        {
            await _payments.DeliverAsync(other, 2);
        }

        await Eventually.IsAsync(async () => (await StatusesAsync(others)).All(other => other == "authorized"));
        Assert.Equal(["requested"], await StatusesAsync([odd]));
        if (status == 409)
        {
            // It is noted elsewhere, so that the log need not be read from there again. (After a 503 the next one that is answered shows whose fault it is.)
            await Eventually.IsAsync(() => Task.FromResult(_payments.Documents.Keys.Any(key => key.StartsWith("settling-aside|", StringComparison.Ordinal))));
        }

        Restart();
        Volatile.Write(ref isOdd, false);
        _provider.Answer = request => Body(request).Contains("pm_odd", StringComparison.Ordinal)
            ? new HttpResponseMessage(HttpStatusCode.Created) { Content = JsonContent.Create(new { id = "ch_odd" }) }
            : null;
        await Eventually.IsAsync(async () => await StatusesAsync([odd]) is ["authorized"]);
    }

    [Fact]
    public async Task A_payment_that_was_set_aside_just_before_a_crash_is_tried_again_and_again()
    {
        var odd = new OrderStream().Created(("tea", 1)).StockReserved("pm_odd");
        var (isOdd, calls) = (true, 0);
        _provider.Answer = request =>
        {
            Interlocked.Increment(ref calls);
            return Volatile.Read(ref isOdd)
                ? Refusal(409, "later")
                : new HttpResponseMessage(HttpStatusCode.Created) { Content = JsonContent.Create(new { id = "ch_odd" }) };
        };
        // The list has it, and the cursor that would have passed it then was never written.
        _payments.Documents.Rewrite = (key, json) =>
            key.StartsWith("settling|", StringComparison.Ordinal) ? Regex.Replace(json, "\"position\":[0-9]+", "\"position\":0") : json;
        await _payments.DeliverAsync(odd, 2);
        await Eventually.IsAsync(() => Task.FromResult(_payments.Documents.Keys.Any(key => key.StartsWith("settling-aside|", StringComparison.Ordinal))));

        Restart();
        var before = Volatile.Read(ref calls);
        await Eventually.IsAsync(() => Task.FromResult(Volatile.Read(ref calls) >= before + 12));
        Volatile.Write(ref isOdd, false);
        await Eventually.IsAsync(async () => await StatusesAsync([odd]) is ["authorized"]);
    }

    [Fact]
    public async Task Another_replica_takes_over_what_one_leaves_behind()
    {
        using var another = Host(_payments.State, _payments.Documents, ("EventStore:Instance", "another"));
        _ = another.Client;
        _provider.IsDown = true;
        await _payments.DeliverAsync(_order.StockReserved(), 2);
        Assert.Equal("requested", await StatusAsync());

        var state = _payments;
        _payments = another;
        state.Dispose();
        _provider.IsDown = false;

        await BecomesAsync("authorized");
        Assert.Equal(["charge"], await LedgerAsync());
        _payments = Host(another.State, another.Documents);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(402)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(410)]
    [InlineData(422)]
    public async Task A_charge_that_the_provider_refuses_is_declined_with_its_reason(int status)
    {
        _provider.Answer = _ => Refusal(status, "amount-too-strange");

        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.StockReserved(), 2));

        await BecomesAsync("declined");
        var (_, payment) = await _payments.GetAsync($"/payments/{_order.OrderId}");
        Assert.Equal("amount-too-strange", payment.GetProperty("history")[1].GetProperty("data").GetProperty("reason").GetString());
    }

    [Theory]
    [InlineData(401)]
    [InlineData(408)]
    [InlineData(409)]
    [InlineData(425)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task An_answer_that_is_not_about_the_order_is_no_decline(int status)
    {
        var asked = 0;
        _provider.Answer = _ => Interlocked.Increment(ref asked) <= 10 ? Refusal(status, "later") : null;

        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.StockReserved(), 2));

        await BecomesAsync("authorized");
        Assert.Equal(["charge"], await LedgerAsync());
    }

    [Fact]
    public async Task What_the_sidecar_itself_refuses_is_no_decline()
    {
        var asked = 0;
        _provider.Answer = _ => Interlocked.Increment(ref asked) <= 10
            ? new HttpResponseMessage(HttpStatusCode.Forbidden) { Content = JsonContent.Create(new { errorCode = "ERR_DIRECT_INVOKE", message = "no" }) }
            : null;

        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.StockReserved(), 2));

        await BecomesAsync("authorized");
    }

    [Fact]
    public async Task An_amount_above_what_the_provider_takes_is_declined()
    {
        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.StockReserved(total: new Money(Money.HighestAmount + 0.01m, "EUR")), 2));
        await BecomesAsync("declined");

        var highest = new OrderStream().Created(("tea", 1)).StockReserved(total: new Money(Money.HighestAmount, "EUR"));
        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(highest, 2));
        await Eventually.IsAsync(async () =>
            (await _payments.GetAsync($"/payments/{highest.OrderId}")).Body.GetProperty("status").GetString() == "authorized");
    }

    [Fact]
    public async Task An_order_that_was_cancelled_before_its_charge_was_refused_ends_voided()
    {
        _provider.IsDown = true;
        _order.StockReserved(total: new Money(Money.HighestAmount * 2, "EUR")).Cancelled();
        await _payments.DeliverAsync(_order, 2);
        await _payments.DeliverAsync(_order, 3);
        Assert.Equal("requested", await StatusAsync());

        _provider.IsDown = false;
        await BecomesAsync("voided");
        Assert.Empty(await LedgerAsync());
        Assert.Equal(["PaymentRequested", "RefundRequested", "PaymentVoided"], await _payments.EventsOfAsync($"payment-{_order.OrderId}"));
    }

    [Fact]
    public async Task A_refund_that_the_provider_refuses_is_shown_and_not_asked_for_for_ever()
    {
        await _payments.DeliverAsync(_order.StockReserved().Paid(), 2, 3);
        await BecomesAsync("authorized");
        var asked = 0;
        _provider.Answer = request => request.RequestUri!.AbsolutePath.EndsWith("/refunds", StringComparison.Ordinal) && Interlocked.Increment(ref asked) > 0
            ? Refusal(422, "charge-too-old")
            : null;

        Assert.Equal(["SUCCESS"], await _payments.DeliverAsync(_order.Cancelled(), 4));

        await BecomesAsync("refundRefused");
        Assert.Equal(1, asked);
        Assert.Equal(["charge"], await LedgerAsync());

        // Somebody has seen to it.
        _provider.Answer = _ => null;
        Assert.Equal(202, (await _payments.PostAsync($"/payments/{_order.OrderId}/refund")).Status);
        await BecomesAsync("refunded");
        Assert.Equal(["charge", "refund"], await LedgerAsync());
        Assert.Equal(202, (await _payments.PostAsync($"/payments/{_order.OrderId}/refund")).Status);
    }

    [Fact]
    public async Task A_refund_that_nobody_refused_is_not_asked_for_again()
    {
        await _payments.DeliverAsync(_order.StockReserved(), 2);
        await BecomesAsync("authorized");

        var (status, problem) = await _payments.PostAsync($"/payments/{_order.OrderId}/refund");
        Assert.Equal((409, "nothing-to-refund"), (status, problem.Code()));
        (status, problem) = await _payments.PostAsync("/payments/unknown/refund");
        Assert.Equal((404, "payment-not-found"), (status, problem.Code()));
    }

    [Theory]
    [InlineData("/payments/unknown", 404, "payment-not-found")]
    [InlineData("/payments/no%20id", 400, "invalid-request")]
    public async Task A_bad_request_is_refused(string path, int expected, string code)
    {
        var (status, problem) = await _payments.GetAsync(path);
        Assert.Equal((expected, code), (status, problem.Code()));
    }

    [Fact]
    public async Task The_openapi_document_describes_every_answer_of_every_operation() => OpenApiDocument.Describes(
        (await _payments.GetAsync("/openapi/v1.json")).Body,
        ["GET /payments/{orderId}: 200 400 404 503", "POST /payments/{orderId}/refund: 202 400 404 409 503", .. OpenApiDocument.OfEveryService, .. OpenApiDocument.EventLog]);

    [Fact]
    public async Task A_payment_that_this_release_cannot_read_keeps_no_other_from_being_settled_from_the_log()
    {
        await _payments.Store.Ready;
        _provider.IsDown = true;
        var orders = Enumerable.Range(0, 20).Select(_ => new OrderStream().Created(("tea", 1)).StockReserved()).ToList();
        await _payments.DeliverAsync([.. orders.Select(order => (order, 2))]);
        // Written by a later release, which was taken back.
        _payments.Services.GetRequiredService<EventTypes>().Add<PaymentDisputed>();
        var later = new StreamCategory<int, PaymentEvent>("payment", "payments", 0, (state, _) => state);
        await _payments.Store.HandleAsync(later, "disputed", _ => new PaymentDisputed("disputed"), new CommandContext(), TestContext.Current.CancellationToken);

        Restart();
        _provider.IsDown = false;

        await Eventually.IsAsync(async () => (await StatusesAsync(orders)).All(status => status == "authorized"));
    }

    private sealed record PaymentDisputed(string OrderId) : PaymentEvent(OrderId);

    private ServiceHost<PaymentsOptions> Host(MemoryState? state = null, StateInMemory? documents = null, params (string Name, string Value)[] settings) => new(
        services => services.AddSingleton(_ => new HttpClient(_provider, disposeHandler: false) { BaseAddress = new Uri("http://provider") }),
        [
            new("Payments:ProviderTimeout", "00:00:00.200"),
            new("Payments:ProviderBackoff", "00:00:00.005"),
            new("Payments:ProbeEvery", "00:00:00.050"),
            new("Payments:LookEvery", "00:00:00.050"),
            new("EventStore:Lease", "00:00:01"),
            .. settings.Select(setting => KeyValuePair.Create(setting.Name, setting.Value)),
        ],
        state)
    {
        Documents = documents ?? new StateInMemory(),
    };

    /// <summary>The service begins again on what it has stored.</summary>
    private void Restart(params (string Name, string Value)[] settings)
    {
        var (state, documents) = (_payments.State, _payments.Documents);
        _payments.Dispose();
        _payments = Host(state, documents, settings);
        _ = _payments.Client;
    }

    private async Task<IReadOnlyList<string?>> StatusesAsync(IReadOnlyList<OrderStream> orders)
    {
        var payments = await Task.WhenAll(orders.Select(order => _payments.Store.LoadAsync(Payment.Category, order.OrderId, TestContext.Current.CancellationToken)));
        return [.. payments.Select(payment => payment.State switch { Payment.Authorized => "authorized", Payment.Requested => "requested", var other => other.GetType().Name })];
    }

    private static string Body(HttpRequestMessage request) => request.Content!.ReadAsStringAsync().GetAwaiter().GetResult();

    private static HttpResponseMessage Refusal(int status, string code) =>
        new((HttpStatusCode)status) { Content = JsonContent.Create(new { title = "No.", status, code }) };

    private async Task<string?> StatusAsync() => (await _payments.GetAsync($"/payments/{_order.OrderId}")).Body.GetProperty("status").GetString();

    private Task BecomesAsync(string status) => Eventually.IsAsync(async () => await StatusAsync() == status);

    private async Task<IReadOnlyList<string?>> LedgerAsync()
    {
        using var client = new HttpClient(_provider, disposeHandler: false) { BaseAddress = new Uri("http://provider") };
        var ledger = JsonElement.Parse(await client.GetStringAsync("/ledger", TestContext.Current.CancellationToken));
        return [.. ledger.GetProperty("entries").EnumerateArray()
            .Where(entry => entry.GetProperty("reference").GetString() == _order.OrderId)
            .Select(entry => entry.GetProperty("kind").GetString())];
    }

    /// <summary>The payment company on a journal of its own; a switch takes it off the net.</summary>
    private sealed class Provider : DelegatingHandler
    {
        private readonly string _journal = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".journal");
        private readonly WebApplicationFactory<Ledger> _company;
        private int _calls;
        private int _inside;

        public Provider()
        {
            _company = new WebApplicationFactory<Ledger>().WithWebHostBuilder(host => host.UseSetting("PaymentProvider:JournalPath", _journal));
            InnerHandler = _company.Server.CreateHandler();
        }

        public bool IsDown { get; set; }

        /// <summary>What is answered in the company's place; null leaves it to the company.</summary>
        public Func<HttpRequestMessage, HttpResponseMessage?> Answer { get; set; } = _ => null;

        /// <summary>Between the company's own answer to a charge and who asked for it; what it throws is got in its place.</summary>
        public Func<Task> AfterAnswer { get; set; } = () => Task.CompletedTask;

        /// <summary>Told the reference of every charge, in the order in which they are asked for.</summary>
        public Action<string> Charged { get; set; } = _ => { };

        public int Calls => _calls;

        /// <summary>Calls that were answered at the same time.</summary>
        public int MostAtOnce { get; private set; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _calls);
            if (IsDown)
            {
                throw new HttpRequestException("The provider is down.");
            }

            lock (_journal)
            {
                MostAtOnce = Math.Max(MostAtOnce, ++_inside);
                if (request.RequestUri!.AbsolutePath == "/charges")
                {
                    Charged(JsonElement.Parse(Body(request)).GetProperty("reference").GetString()!);
                }
            }

            try
            {
                var answer = Answer(request) ?? await base.SendAsync(request, cancellationToken);
                if (request.RequestUri!.AbsolutePath == "/charges")
                    await AfterAnswer();
                return answer;
            }
            finally
            {
                lock (_journal)
                {
                    _inside--;
                }
            }
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _company.Dispose();
            File.Delete(_journal);
        }
    }
}
