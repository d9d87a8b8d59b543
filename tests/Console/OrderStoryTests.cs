using System.Net;
using System.Text.Json;
using Bunit;
using DaprOrders.Console.Calling;
using DaprOrders.Console.OrderStory;

namespace DaprOrders.Console.Tests;

public sealed class OrderStoryTests : ConsolePages
{
    private static readonly DateTimeOffset Placed = Now.AddMinutes(-1);

    [Fact]
    public void What_was_caused_comes_after_its_cause_whatever_the_clocks_say()
    {
        var events = Story.Arrange(
        [
            ("inventory", "reservation", Recorded("reservation-o", 1, "StockReserved", Placed.AddMilliseconds(-30), "order-o:1")),
            ("ordering", "order", Recorded("order-o", 1, "OrderCreated", Placed)),
        ]);

        Assert.Equal(["OrderCreated", "StockReserved"], events.Select(e => e.Event.Type));
        Assert.Equal([1, 1], events.Select(e => e.OrderVersion));
    }

    [Fact]
    public void An_event_whose_cause_is_outside_follows_the_one_before_it_in_its_stream()
    {
        var events = Story.Arrange(
        [
            ("payments", "payment", Recorded("payment-o", 1, "PaymentRequested", Placed)),
            ("payments", "payment", Recorded("payment-o", 2, "PaymentAuthorized", Placed.AddSeconds(1), "charge-77")),
        ]);

        Assert.Equal(("payment-o:1", TimeSpan.FromSeconds(1)), (events[1].CauseId, events[1].Hop));
    }

    [Fact]
    public void Each_step_shows_its_event_and_what_it_changed()
    {
        PlayOrder("stockReserved");
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));
        Assert.Contains("State after event 3 of 3", page.Find(".travel").TextContent, StringComparison.Ordinal);
        Assert.Contains("stockReserved", page.Find("[aria-label=State] table").TextContent, StringComparison.Ordinal);

        page.Find("#step").Input("2");
        Assert.Contains("StockReserved", page.Find("[aria-live=polite] h2").TextContent, StringComparison.Ordinal);
        Assert.Contains("another service's", page.Find("[aria-label=State]").TextContent, StringComparison.Ordinal);

        page.Find("#step").Input("1");
        Assert.Contains("OrderCreated", page.Find("[aria-live=polite] h2").TextContent, StringComparison.Ordinal);
        Assert.Contains("created", page.Find("[aria-label=State] table").TextContent, StringComparison.Ordinal);
        Assert.Contains("a request from outside", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void What_changed_is_told_part_by_part()
    {
        var before = JsonElement.Parse("""{"status":"paid","shipment":null,"lines":[{"sku":"tea","quantity":1}]}""");
        var after = JsonElement.Parse("""{"status":"shipped","shipment":{"trackingNumber":"DO-1"},"lines":[{"sku":"tea","quantity":1}]}""");
        var events = Story.Arrange([.. new[] { "OrderPaid", "OrderShipped" }.Select((type, i) => ("ordering", "order", Recorded("order-o", i + 1, type, Placed.AddSeconds(i))))]);
        var now = JsonSerializer.Deserialize<OrderNow>(Samples.Order("o", "shipped", 2), JsonSerializerOptions.Web)!;

        var changes = new Story(now, events, [before, after], [], []).ChangesAt(1);

        Assert.Equal([new("status", "paid", "shipped"), new("shipment.trackingNumber", "", "DO-1")], changes);
    }

    [Fact]
    public void An_order_is_cancelled_only_when_that_was_confirmed()
    {
        PlayOrder("stockReserved");
        Played.Answer("ordering", "orders/o-1/cancellation", Samples.Order("o-1", "cancelled", 3), method: "POST");
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Button(page, "Cancel order …").Click();
        Assert.DoesNotContain(Played.Asked, asked => asked.Method == HttpMethod.Post);
        page.Find("#reason").Change("changed their mind");
        Button(page, "Yes, cancel it").Click();

        page.WaitForAssertion(() => Assert.Contains("The order is cancelled", page.Find(".note.good").TextContent, StringComparison.Ordinal));
        Assert.Equal("""{"reason":"changed their mind"}""", Assert.Single(Played.Asked, asked => asked.Method == HttpMethod.Post).Body);
    }

    [Fact]
    public void A_refusal_is_shown_in_the_service_s_words()
    {
        PlayOrder("stockReserved");
        Played.Answer("ordering", "orders/o-1/cancellation", """{"detail":"Order o-1 has left the house."}""", HttpStatusCode.Conflict, "POST");
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Button(page, "Cancel order …").Click();
        Button(page, "Yes, cancel it").Click();

        page.WaitForAssertion(() => Assert.Contains("ordering answered 409: Order o-1 has left the house.", page.Find(".note.bad").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public void A_viewer_is_offered_no_cancellation_and_sees_all_in_their_own_name()
    {
        SignedInAs("viewer");
        PlayOrder("stockReserved");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.True(Button(page, "Cancel order …").HasAttribute("disabled"));
        Assert.All(Played.Asked, asked => Assert.Equal("Bearer token-of-viewer", asked.Authorization));
    }

    [Fact]
    public void An_order_that_does_not_exist_is_said_not_to()
    {
        Played.Answer("ordering", "orders/o-9", """{"detail":"There is no order o-9."}""", HttpStatusCode.NotFound);

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-9"));

        Assert.Contains("There is no order o-9", page.Find(".empty").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void While_a_service_is_away_the_rest_of_the_story_is_told()
    {
        PlayOrder("stockReserved");
        Played.Answer("inventory", "event-log/streams/reservation-o-1?limit=200", """{"errorCode":"ERR_DIRECT_INVOKE","message":"no connection"}""", HttpStatusCode.InternalServerError);

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Contains("inventory cannot be reached", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
        Assert.Contains("OrderStockReserved", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void While_Ordering_is_away_the_others_tell_what_they_know_of_the_order_and_nothing_can_be_cancelled()
    {
        PlayOrder("stockReserved");
        Played.Without("ordering");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Contains("ordering cannot be reached", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
        Assert.Contains("StockReserved", page.Find("[aria-label='Events of the order']").TextContent, StringComparison.Ordinal);
        Assert.DoesNotContain(page.FindAll("button"), button => button.TextContent.Contains("Cancel", StringComparison.Ordinal));
        PlayOrder("stockReserved");
        Time.Advance(TimeSpan.FromSeconds(5));
        page.WaitForAssertion(() => Assert.Contains("OrderStockReserved", page.Markup, StringComparison.Ordinal));
        Assert.Contains(page.FindAll("button"), button => button.TextContent.Contains("Cancel", StringComparison.Ordinal));
    }

    [Fact]
    public void When_Ordering_goes_away_what_it_has_told_stays()
    {
        PlayOrder("stockReserved");
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));
        Played.Without("ordering");

        Time.Advance(TimeSpan.FromSeconds(5));

        page.WaitForAssertion(() => Assert.Contains("ordering cannot be reached", page.Find(".note.bad").TextContent, StringComparison.Ordinal));
        Assert.Contains("OrderStockReserved", page.Find("[aria-label='Events of the order']").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void An_order_of_which_nobody_that_answers_knows_is_a_failure_and_not_an_empty_story()
    {
        Play("inventory", "event-log/streams/reservation-o-1?limit=200", "[]");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Contains("ordering cannot be reached", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
        Assert.Empty(page.FindAll("table"));
    }

    [Theory]
    [InlineData("o-1/events")]
    [InlineData("o-1?version=1")]
    [InlineData("o%2F1")]
    public void What_can_be_no_order_s_id_is_said_to_be_none_and_asked_of_nobody(string id)
    {
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, id));

        Assert.Contains($"There is no order {id}", page.Find(".empty").TextContent, StringComparison.Ordinal);
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "ordering");
    }

    [Fact]
    public void What_the_others_do_after_its_end_appears_by_itself()
    {
        PlayOrder("cancelled");
        Played.Answer("reporting", "updates", () => new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(new System.IO.Pipelines.Pipe().Reader.AsStream()) });
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));
        Assert.Equal(3, page.Instance.Story!.Events.Count);
        Play("payments", "event-log/streams/payment-o-1?limit=200", $"[{Samples.Event("payment-o-1", 1, "PaymentRefunded", Placed.AddSeconds(30), "order-o-1:2")}]");
        Play("shipping", Samples.FailuresOf("o-1"), Samples.Failures(Samples.Failed("order-o-1", 1, "Boom")));

        Time.Advance(TimeSpan.FromSeconds(5));

        page.WaitForAssertion(() => Assert.Contains("PaymentRefunded", page.Markup, StringComparison.Ordinal));
        Assert.Contains("shipping could not handle", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_buyers_text_that_begins_like_a_moment_keeps_no_page_from_opening()
    {
        PlayOrder("stockReserved");
        Play("ordering", "orders/o-1?version=2", Samples.Order("o-1", "stockReserved", 2).Replace("\"Tea\"", "\"2026-13-01T00:00:00\"", StringComparison.Ordinal));

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Contains("2026-13-01T00:00:00", page.Find("[aria-label=State] table").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_no_answer_comes_in_time_it_is_said_that_it_may_still_happen()
    {
        PlayOrder("stockReserved");
        Played.Answer("ordering", "orders/o-1/cancellation", () => throw new TaskCanceledException(), "POST");
        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Button(page, "Cancel order …").Click();
        Button(page, "Yes, cancel it").Click();

        page.WaitForAssertion(() => Assert.Contains("ordering: no answer yet, it may still happen", page.Find(".note.bad").TextContent, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("catchUp", "found by the catch-up")]
    [InlineData("gap", "asked for, as a later one came")]
    [InlineData("somethingNew", "found by something new")]
    public void What_the_catch_up_brought_is_marked_and_the_rest_is_not(string foundBy, string mark)
    {
        PlayOrder("stockReserved");
        Play("inventory", "event-log/streams/reservation-o-1?limit=200", $"[{Samples.Event("reservation-o-1", 1, "StockReserved", Placed.AddSeconds(12), "order-o-1:1", foundBy: foundBy)}]");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        var marked = Assert.Single(page.FindAll("[aria-label='Events of the order'] tbody tr"), row => row.TextContent.Contains(mark, StringComparison.Ordinal));
        Assert.Contains("StockReserved", marked.TextContent, StringComparison.Ordinal);
        Assert.Single(page.FindAll(".timeline .event.found"));
        Assert.DoesNotContain("its topic had not brought its cause", page.Markup, StringComparison.Ordinal);
        page.Find("#step").Input("2");
        Assert.Contains("its topic had not brought its cause", page.Find("[aria-live=polite]").TextContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("created", "inventory")]
    [InlineData("stockReserved", "payments")]
    [InlineData("paid", "shipping")]
    public void An_order_says_what_it_waits_for_where_that_is_not_well(string status, string service)
    {
        PlayOrder(status);
        foreach (var app in Apps.All)
            Play(app, "healthz/ready", $$"""{"status":"Degraded","checks":{"one":{"status":"Degraded","reason":"{{app}} has its reasons."} } }""");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Contains($"It waits for {service}, which is degraded: {service} has its reasons.", page.Find(".note.warn").TextContent, StringComparison.Ordinal);
        Play(service, "healthz/ready", """{"status":"Healthy","checks":{} }""");
        Time.Advance(TimeSpan.FromSeconds(5));
        page.WaitForAssertion(() => Assert.Empty(page.FindAll(".note.warn")));
    }

    [Fact]
    public void An_order_that_is_over_waits_for_nobody()
    {
        PlayOrder("shipped");
        foreach (var app in Apps.All)
            Play(app, "healthz/ready", """{"status":"Degraded","checks":{"one":{"status":"Degraded","reason":"Something."} } }""");

        Assert.Empty(Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1")).FindAll(".note.warn"));
    }

    [Fact]
    public void A_dead_letter_about_the_order_is_said_where_the_order_is_looked_at()
    {
        PlayOrder("stockReserved");
        Play("payments", Samples.FailuresOf("o-1"), Samples.Failures(Samples.Failed("order-o-1", 1, "Boom")));

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        var note = page.Find(".note.bad").TextContent;
        Assert.Contains("payments could not handle OrderCreated after 6 attempts: Boom", note, StringComparison.Ordinal);
        Assert.DoesNotContain(Played.Asked, asked => asked.Path.StartsWith("dead-letters?", StringComparison.Ordinal));
    }

    [Fact]
    public void Of_a_long_story_the_failures_of_later_events_are_asked_for_too()
    {
        PlayOrder("stockReserved");
        Play("payments", "event-log/streams/payment-o-1?limit=200", $"[{string.Join(",", Enumerable.Range(1, 13).Select(version => Samples.Event("payment-o-1", version, "PaymentRetried", Placed.AddSeconds(version))))}]");
        foreach (var app in Apps.All)
            Play(app, Samples.FailuresOf("o-1", from: 13), Samples.Failures());
        Play("ordering", Samples.FailuresOf("o-1", from: 13), Samples.Failures(Samples.Failed("payment-o-1", 13, "Boom")));

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Contains("ordering could not handle PaymentRetried", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("handled", "payments: handled after 2 attempts that failed", "warn")]
    [InlineData("open", "payments: 2 attempts failed", "bad")]
    [InlineData("passed", "payments: 2 attempts failed, and it has gone on", "warn")]
    [InlineData("givenUp", "payments: given up after 2 attempts", "bad")]
    [InlineData("deadLetter", "payments: dead letter after 2 attempts", "bad")]
    public void How_often_an_event_was_tried_where_and_what_came_of_it_is_on_the_timeline(string outcome, string told, string mood)
    {
        PlayOrder("stockReserved");
        Play("payments", Samples.FailuresOf("o-1"), Samples.Failures(Samples.Failed("order-o-1", 2, "Nobody answers.", outcome, attempts: 2)));

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        var badge = Assert.Single(page.FindAll($"[aria-label='Events of the order'] .badge.{mood}"));
        Assert.Equal(told, badge.TextContent);
        Assert.Contains("OrderStockReserved", badge.Closest("tr")!.TextContent, StringComparison.Ordinal);
        Assert.Single(page.FindAll(".timeline .event.troubled"));
        Assert.Contains($"OrderStockReserved of ordering ({told})", page.Find(".timeline").GetAttribute("aria-label"), StringComparison.Ordinal);
        Assert.Contains("Nobody answers.", page.Find("[aria-live=polite] .facts").TextContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("open")]
    [InlineData("passed")]
    public void What_the_service_has_gone_on_from_was_handled_though_another_instance_failed(string outcome)
    {
        PlayOrder("stockReserved");
        Play("inventory", Samples.FailuresOf("o-1"), Samples.Failures(Samples.Failed("order-o-1", 1, "Nobody answers.", outcome, attempts: 1)));

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Equal("inventory: handled after 1 attempt that failed", page.Find("[aria-label='Events of the order'] .badge.warn").TextContent);
    }

    [Fact]
    public void An_event_that_the_broker_refuses_says_so_and_why()
    {
        PlayOrder("stockReserved");
        Play("ordering", "event-log/parked", """{"events":[{"id":"order-o-1:2","topic":"orders","reason":"too large","parkedAt":"2026-11-27T11:00:00Z"}]}""");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Equal("parked: not published", Assert.Single(page.FindAll("[aria-label='Events of the order'] .badge")).TextContent);
        Assert.Contains("too large", page.Find("[aria-live=polite] .facts").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_handled_at_once_has_no_mark()
    {
        PlayOrder("stockReserved");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Empty(page.FindAll("[aria-label='Events of the order'] .badge"));
        Assert.Empty(page.FindAll(".timeline .event.troubled"));
    }

    [Fact]
    public void What_an_operator_has_edited_is_told_as_the_cause_that_it_was()
    {
        PlayOrder("stockReserved");
        Play("ordering", "event-log/streams/order-o-1?limit=200", $"[{Samples.Event("order-o-1", 1, "OrderCreated", Placed)},{Samples.Event("order-o-1", 2, "OrderStockReserved", Placed.AddMilliseconds(80), "reservation-o-1:1~act-1")}]");

        var page = Render<OrderStoryView>(parameters => parameters.Add(p => p.OrderId, "o-1"));

        Assert.Equal("StockReserved", page.Find(".facts .link").TextContent);
        Assert.Equal("reservation-o-1:1~act-1", page.Find(".facts a[href='/dead-letters/ordering/acts/act-1']").GetAttribute("title"));
    }

    private void PlayOrder(string status)
    {
        Play("ordering", "orders/o-1", Samples.Order("o-1", status, 2));
        Play("ordering", "orders/o-1?version=1", Samples.Order("o-1", "created", 1));
        Play("ordering", "orders/o-1?version=2", Samples.Order("o-1", status, 2));
        Play("ordering", "event-log/streams/order-o-1?limit=200", $"[{Samples.Event("order-o-1", 1, "OrderCreated", Placed)},{Samples.Event("order-o-1", 2, "OrderStockReserved", Placed.AddMilliseconds(80), "reservation-o-1:1")}]");
        Play("inventory", "event-log/streams/reservation-o-1?limit=200", $"[{Samples.Event("reservation-o-1", 1, "StockReserved", Placed.AddMilliseconds(50), "order-o-1:1")}]");
        Play("payments", "event-log/streams/payment-o-1?limit=200", "[]");
        Play("shipping", "event-log/streams/shipment-o-1?limit=200", "[]");
    }

    private static AngleSharp.Dom.IElement Button(IRenderedComponent<OrderStoryView> page, string text) =>
        page.FindAll("button").Single(button => button.TextContent.Trim() == text);

    private static RecordedEvent Recorded(string stream, long version, string type, DateTimeOffset at, string? cause = null) =>
        JsonSerializer.Deserialize<RecordedEvent>(Samples.Event(stream, version, type, at, cause), JsonSerializerOptions.Web)!;
}
