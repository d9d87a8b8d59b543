namespace DaprOrders.Audit.Tests;

/// <summary>Each fault that the audit is there for is noticed, and nothing else is told.</summary>
public sealed class SystemAuditTests
{
    private static readonly AuditKnowledge Knowledge = new(
        [ScriptedSystem.Shipped, ScriptedSystem.Refunded, ScriptedSystem.Short], new Dictionary<string, int> { ["tea"] = 10 });

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_system_at_rest_of_which_everything_holds_passes()
    {
        await using var system = await ScriptedSystem.StartAsync();

        var report = await AuditAsync(system);

        Assert.True(report.Holds, $"{report}");
        Assert.Contains("3 orders", $"{report}", StringComparison.Ordinal);
    }

    public static TheoryData<string, string, string, string, string> SpoiledAnswers => new()
    {
        { "a status", $"ordering/orders/{ScriptedSystem.Shipped}", "\"shipped\"", "\"paid\"", "Ordering shows every order as its events tell it" },
        { "an event of the order", $"ordering/orders/{ScriptedSystem.Shipped}/events", "t-1", "t-2", "Ordering shows every order as its events tell it" },
        { "goods gone", "inventory/products?limit=100", "\"onHand\":8", "\"onHand\":7", "Received = on hand + shipped, nothing reserved" },
        { "goods still reserved", "inventory/products?limit=100", "\"reserved\":0", "\"reserved\":2", "Received = on hand + shipped, nothing reserved" },
        { "another SKU", "inventory/products?limit=100", "\"tea\"", "\"rum\"", "Received = on hand + shipped, nothing reserved" },
        { "a second charge", "provider/ledger?limit=1000&after=0", "\"refund\"", "\"charge\"", "Charged once, and refunded once if cancelled" },
        { "no charge", "provider/ledger?limit=1000&after=0", $"\"{ScriptedSystem.Shipped}\"", $"\"{ScriptedSystem.Refunded}\"", "Charged once, and refunded once if cancelled" },
        { "another amount", "provider/ledger?limit=1000&after=0", "\"ch_1\",\"amount\":19.00", "\"ch_1\",\"amount\":18.99", "Charged once, and refunded once if cancelled" },
        { "the refund of another charge", "provider/ledger?limit=1000&after=0", "\"re_3\",\"kind\":\"refund\",\"chargeId\":\"ch_2\"", "\"re_3\",\"kind\":\"refund\",\"chargeId\":\"ch_1\"", "Charged once, and refunded once if cancelled" },
        { "a list's status", "reporting/orders?limit=200", "\"status\":\"shipped\",\"version\"", "\"status\":\"paid\",\"version\"", "Reporting's lists are a fold of all streams" },
        { "a customer's list", "reporting/customers/c-1/orders?limit=200", "\"payment\":\"refunded\"", "\"payment\":\"authorized\"", "Reporting's lists are a fold of all streams" },
        { "an order that is not listed", "reporting/orders?limit=200", "\"orderId\":\"o-short\"", "\"orderId\":\"o-other\"", "Reporting's lists are a fold of all streams" },
        { "the summary", "reporting/summary", "\"cancelled\":2", "\"cancelled\":1", "Reporting's sums are a fold of all streams" },
        { "the revenue", "reporting/summary", "19.00", "38.00", "Reporting's sums are a fold of all streams" },
        { "a day", "reporting/sales/daily?from=2026-11-24&to=2027-11-24", "\"orders\":1", "\"orders\":2", "Reporting's sums are a fold of all streams" },
        { "a product", "reporting/sales/products?limit=1000", "\"units\":2", "\"units\":4", "Reporting's sums are a fold of all streams" },
        { "a dead letter", "payments/dead-letters?limit=100", "[]", "[{\"id\":\"d-1\",\"eventId\":\"order-1:1\",\"error\":\"no\"}]", "No service has dead letters" },
    };

    [Theory]
    [MemberData(nameof(SpoiledAnswers))]
    public async Task What_is_wrong_in_an_answer_breaks_its_invariant_and_no_other(string fault, string path, string part, string by, string broken)
    {
        await using var system = await ScriptedSystem.StartAsync();
        system.Spoil(path, part, by);

        var report = await AuditAsync(system);

        Assert.NotEmpty(fault);
        Assert.Equal([broken], report.Checks.Where(check => !check.Holds).Select(check => check.Invariant));
    }

    [Fact]
    public async Task An_acknowledged_order_that_is_nowhere_is_lost()
    {
        await using var system = await ScriptedSystem.StartAsync();

        var report = await AuditAsync(system, knowledge: Knowledge with { Acknowledged = ["o-lost"] });

        Assert.Contains("order o-lost was acknowledged", Assert.Single(Broken(report, "Every order that was acknowledged exists")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_put_in_stock_must_be_what_the_stock_tells()
    {
        await using var system = await ScriptedSystem.StartAsync();

        var report = await AuditAsync(system, knowledge: Knowledge with { Received = new Dictionary<string, int> { ["tea"] = 11 } });

        Assert.Contains("11 were put in stock", Assert.Single(Broken(report, "Received = on hand + shipped, nothing reserved")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_order_that_does_not_end_is_told_once_the_wait_is_over()
    {
        await using var system = await ScriptedSystem.StartAsync();
        system.Forget("ordering", $"order-{ScriptedSystem.Shipped}", 4);

        var report = await AuditAsync(system, wait: TimeSpan.FromSeconds(1));

        Assert.Contains("is paid", Assert.Single(Broken(report, "Every order is shipped or cancelled")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_version_that_is_missing_is_a_gap()
    {
        await using var system = await ScriptedSystem.StartAsync();
        system.Forget("inventory", $"reservation-{ScriptedSystem.Shipped}", 1);

        var report = await AuditAsync(system);

        Assert.Contains("has the versions 2", Assert.Single(Broken(report, "Every stream has the versions 1 to n")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_that_cannot_follow_is_told()
    {
        await using var system = await ScriptedSystem.StartAsync();
        system.SpoilEvent("ordering", $"order-{ScriptedSystem.Short}", 2, "OrderCancelled", "OrderShipped");

        var report = await AuditAsync(system);

        Assert.Contains("and then comes OrderShipped", Broken(report, "Every order is shipped or cancelled")[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_that_is_in_the_log_twice_is_told()
    {
        await using var system = await ScriptedSystem.StartAsync();
        system.Happened("shipping", $"shipment-{ScriptedSystem.Shipped}", "ShipmentDispatched", "{}", version: 1);

        var report = await AuditAsync(system);

        Assert.Contains("twice in its log", Broken(report, "What was read is read again unchanged")[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("changed", "was {")]
    [InlineData("gone", "is gone")]
    [InlineData("new", "came into lane a before the position 7")]
    [InlineData("lane gone back", "was read up to 7 and now ends at 5")]
    public async Task The_past_that_is_another_when_it_is_read_again_is_noticed(string fault, string told)
    {
        await using var system = await ScriptedSystem.StartAsync();
        using var addresses = system.Addresses();
        var audit = new SystemAudit(addresses);
        Assert.True((await audit.RunAsync(TimeSpan.Zero, Knowledge, Cancellation)).Holds);

        switch (fault)
        {
            case "changed":
                system.SpoilEvent("shipping", $"shipment-{ScriptedSystem.Shipped}", 1, "10:00", "11:00");
                break;
            case "gone":
                system.Forget("shipping", $"shipment-{ScriptedSystem.Shipped}", 1);
                break;
            case "new":
                system.Happened("shipping", "shipment-other", "ShipmentDispatched", "{}");
                break;
            default:
                system.Spoil("shipping/event-log", "7", "5");
                break;
        }

        var report = await audit.RunAsync(TimeSpan.Zero, Knowledge, Cancellation);

        Assert.Contains(told, Broken(report, "What was read is read again unchanged")[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_comes_right_within_the_wait_passes()
    {
        await using var system = await ScriptedSystem.StartAsync();
        system.Spoil("reporting/summary", "\"cancelled\":2", "\"cancelled\":1");
        var summaries = 0;
        system.Asked = path =>
        {
            if (path == "reporting/summary" && ++summaries == 3)
                system.Spoil(path, "\"cancelled\":1", "\"cancelled\":2");
        };

        var report = await AuditAsync(system, wait: TimeSpan.FromSeconds(30));

        Assert.True(report.Holds, $"{report}");
        Assert.Equal(3, summaries);
    }

    [Fact]
    public async Task A_service_that_does_not_answer_is_told()
    {
        await using var system = await ScriptedSystem.StartAsync();
        using var addresses = new SystemUnderAudit(service => service == "shipping" ? new Uri("http://127.0.0.1:9/") : Of(system, service), new Uri(Of(system, "provider"), "."));

        var report = await new SystemAudit(addresses).RunAsync(TimeSpan.Zero, Knowledge, Cancellation);

        Assert.Contains("was not answered", Broken(report, "The event logs can be read and come to rest")[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ordering")]
    [InlineData("inventory")]
    [InlineData("payments")]
    [InlineData("shipping")]
    [InlineData("reporting")]
    [InlineData("provider")]
    public async Task Where_one_is_away_there_is_nothing_to_audit(string away)
    {
        await using var system = await ScriptedSystem.StartAsync();
        Uri AddressOf(string app) => app == away ? new Uri("http://127.0.0.1:9/") : Of(system, app);
        using (var whole = system.Addresses())
            await whole.RequireAnswersAsync(Cancellation);
        using var addresses = new SystemUnderAudit(AddressOf, AddressOf("provider"));

        var error = await Assert.ThrowsAsync<AuditException>(() => addresses.RequireAnswersAsync(Cancellation));

        Assert.Contains("GET http://127.0.0.1:9/", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_says_to_the_services_who_it_is_and_to_the_provider_nothing()
    {
        await using var system = await ScriptedSystem.StartAsync();
        using var audited = new SystemUnderAudit(service => Of(system, service), new Uri(Of(system, "provider"), "."), new Dictionary<string, string> { ["x-who"] = "audit" });

        Assert.True((await new SystemAudit(audited).RunAsync(TimeSpan.FromSeconds(10), Knowledge, Cancellation)).Holds);

        Assert.All(system.Callers, call => Assert.Equal(call.Path.StartsWith("provider/", StringComparison.Ordinal) ? "" : "audit", call.Who));
        Assert.Contains(system.Callers, call => call.Path.StartsWith("provider/", StringComparison.Ordinal));
    }

    /// <summary>Another company's books cannot be read.</summary>
    [Fact]
    public async Task Without_a_ledger_the_charges_are_not_looked_at_and_all_else_is()
    {
        await using var system = await ScriptedSystem.StartAsync();
        using var audited = new SystemUnderAudit(service => Of(system, service), paymentProvider: null);

        var report = await new SystemAudit(audited).RunAsync(TimeSpan.FromSeconds(10), Knowledge, Cancellation);

        Assert.True(report.Holds, $"{report}");
        Assert.Equal("not looked at", report.Checks.Single(check => check.Invariant == "Charged once, and refunded once if cancelled").Seen);
        Assert.DoesNotContain(system.Callers, call => call.Path.StartsWith("provider/", StringComparison.Ordinal));
    }

    private static Uri Of(ScriptedSystem system, string service) => new(system.Root, $"{service}/");

    [Fact]
    public void What_a_message_says_cannot_command_the_terminal_nor_fill_it()
    {
        var report = new AuditReport([new("No service has dead letters", "5 services", [$"payments has the dead letter \u001b[31m{new string('x', 10_000)}"])], TimeSpan.Zero);

        var shown = $"{report}";

        Assert.Contains(@"letter \u001b[31mxxx", shown, StringComparison.Ordinal);
        Assert.DoesNotContain(shown, one => char.IsControl(one) && one is not ('\r' or '\n'));
        Assert.InRange(shown.Length, 1, 3_000);
    }

    private static async Task<AuditReport> AuditAsync(ScriptedSystem system, TimeSpan wait = default, AuditKnowledge? knowledge = null)
    {
        using var addresses = system.Addresses();
        return await new SystemAudit(addresses).RunAsync(wait, knowledge ?? Knowledge, Cancellation);
    }

    private static IReadOnlyList<string> Broken(AuditReport report, string invariant) => report.Checks.Single(check => check.Invariant == invariant).Violations;
}
