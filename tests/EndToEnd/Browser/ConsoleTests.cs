using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Console.Tests;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace DaprOrders.EndToEnd.Tests.Browser;

/// <summary>The console as people use it: in a browser, before the real system.</summary>
public sealed partial class ConsoleTests(ConsoleInBrowser console) : IClassFixture<ConsoleInBrowser>
{
    public static TheoryData<string> Pages => ["/", "/orders", "/dead-letters", "/dead-letters/ordering/acts", "/stock", "/projections", "/topology", "/try-it", "/sign-in"];

    /// <summary>Pages of one of many, and those that nobody goes to by an address: by their templates, the test in which everybody can use them.</summary>
    private static readonly Dictionary<string, string> PagesOfOne = new()
    {
        ["/orders/{OrderId}"] = nameof(Everybody_can_use_an_order_s_page_in_either_light_and_on_a_narrow_screen),
        ["/dead-letters/{App}/acts"] = nameof(Everybody_can_use_a_page_in_either_light_and_on_a_narrow_screen),
        ["/dead-letters/{App}/{Id}"] = nameof(Everybody_can_use_dead_letters_and_the_page_of_one_in_either_light_and_on_a_narrow_screen),
        ["/dead-letters/{App}/acts/{Id}"] = nameof(A_payment_whose_amount_is_a_word_is_edited_and_the_order_that_waits_for_it_goes_on),
        ["/no-role"] = nameof(Whoever_signs_in_at_the_provider_without_a_role_is_told_so_and_all_pages_on_the_way_can_be_used_by_everybody),
        ["/nothing-here"] = nameof(Everybody_can_use_what_is_shown_to_somebody_who_has_not_signed_in),
        ["/trouble"] = nameof(Everybody_can_use_what_is_shown_to_somebody_who_has_not_signed_in),
    };

    [Fact]
    public void Every_page_is_one_that_is_looked_at_here()
    {
        var pages = Directory.EnumerateFiles(Path.Combine(Installation.RepositoryRoot, "services", "Console"), "*.razor", SearchOption.AllDirectories)
            .SelectMany(file => PageOf().Matches(File.ReadAllText(file))).Select(page => page.Groups[1].Value).ToList();

        Assert.True(pages.Count > 10, $"Only {pages.Count} pages were found.");
        Assert.Empty(pages.Except(Pages.Select(page => page.Data)).Except(PagesOfOne.Keys));
    }

    [Fact]
    public async Task A_newcomer_places_an_order_and_watches_it_ship()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");

        await PlaceAsync(visit, "An order that goes well", "shipped");
        await visit.Page.Locator(".holds a").First.ClickAsync();

        await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync("Order");
        await Expect(visit.Page.Locator(".head .badge")).ToHaveTextAsync("shipped");
        foreach (var step in new[] { "OrderCreated", "StockReserved", "PaymentAuthorized", "OrderPaid", "ShipmentDispatched", "OrderShipped" })
            await Expect(visit.Page.GetByRole(AriaRole.Button, new() { Name = step, Exact = true }).First).ToBeVisibleAsync();
        Assert.Empty(visit.Complaints);
        Assert.Empty(visit.AskedElsewhere);
    }

    [Fact]
    public async Task An_order_is_looked_at_as_it_was_by_keyboard_alone()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");
        await PlaceAsync(visit, "An order that goes well", "shipped");
        await OpenLastAsync(visit);
        var slider = visit.Page.GetByRole(AriaRole.Slider);
        var state = visit.Page.GetByLabel("State", new() { Exact = true });

        await slider.FocusAsync();
        await visit.Page.Keyboard.PressAsync("Home");
        await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Name = "OrderCreated" })).ToBeVisibleAsync();
        await Expect(state.GetByRole(AriaRole.Table)).ToContainTextAsync("created");

        await visit.Page.Keyboard.PressAsync("ArrowRight");
        await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Name = "StockReserved", Exact = true })).ToBeVisibleAsync();
        await visit.Page.Keyboard.PressAsync("ArrowRight");
        await Expect(state.GetByRole(AriaRole.Table)).ToContainTextAsync("stockReserved");
    }

    [Fact]
    public async Task A_payment_that_came_before_its_order_is_redriven_once_the_order_is_there()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");
        await PlaceAsync(visit, "An order that goes well", "shipped");
        var key = Guid.NewGuid().ToString("N");
        await HandToDeadLettersAsync(ConsoleInBrowser.OrderIdOf("early", key));

        await visit.OpenAsync("/");
        await visit.Page.Locator(".verdict a", new() { HasText = "dead letter" }).ClickAsync();
        await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Name = "ordering" })).ToBeVisibleAsync();
        await visit.LiveAsync();
        var redrive = visit.Page.GetByRole(AriaRole.Button, new() { Name = "Redrive" });
        await redrive.ClickAsync();
        await Expect(visit.Page.GetByLabel("Progress")).ToContainTextAsync("0 handled, 1 failed and stay");
        await Expect(visit.Page.GetByLabel("Progress")).ToContainTextAsync("There is no order");

        await console.PlaceAsync("early", key, "try-tea");
        await redrive.ClickAsync();

        await Expect(visit.Page.GetByLabel("Progress")).ToContainTextAsync("1 handled");
        await Expect(visit.Page.GetByText("None. Everything that was delivered was handled.")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task While_the_payment_provider_is_down_an_order_s_page_says_what_it_waits_for_and_then_shows_it_shipped()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");
        var reason = visit.Page.Locator(".note.warn", new() { HasText = "The payment provider does not answer" });

        using (console.WithoutPaymentProvider())
        {
            await PlaceAsync(visit, "An order that goes well", "stock reserved");
            await OpenLastAsync(visit);
            await visit.Page.EvaluateAsync("() => { window.isTheSamePage = true; }");
            await Expect(visit.Page.GetByRole(AriaRole.Button, new() { Name = "PaymentRequested", Exact = true }).First).ToBeVisibleAsync();
            await Expect(reason).ToContainTextAsync("It waits for payments, which is degraded");
            await Expect(visit.Page.Locator(".head .badge")).ToHaveTextAsync("stock reserved");
            Assert.Empty(await ConsoleInBrowser.ViolationsAsync(visit.Page));
        }

        await Expect(visit.Page.Locator(".head .badge")).ToHaveTextAsync("shipped");
        await Expect(reason).ToHaveCountAsync(0);
        Assert.True(await visit.Page.EvaluateAsync<bool>("() => window.isTheSamePage === true"));
    }

    [Fact]
    public async Task A_payment_whose_amount_is_a_word_is_edited_and_the_order_that_waits_for_it_goes_on()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");
        await PlaceAsync(visit, "An order that goes well", "shipped");
        var key = Guid.NewGuid().ToString("N");
        var order = ConsoleInBrowser.OrderIdOf("stuck", key);
        await console.PlaceAsync("stuck", key, "try-tea", "pm_timeout", "stockReserved");
        await HandToDeadLettersAsync(order, "twelve forty");

        await visit.OpenAsync($"/orders/{order}");
        await visit.Page.GetByRole(AriaRole.Link, new() { Name = "Put it right" }).ClickAsync();
        await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Name = "Dead letter", Exact = true })).ToBeVisibleAsync();
        await visit.LiveAsync();
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Edit and redrive …" }).ClickAsync();
        var data = visit.Page.GetByLabel("Data", new() { Exact = true });
        var said = await data.InputValueAsync();
        await data.FillAsync(said.Replace(order, "another-order", StringComparison.Ordinal).Replace("\"twelve forty\"", "12.40", StringComparison.Ordinal));
        await visit.Page.GetByLabel("Why", new() { Exact = true }).FillAsync("the amount was a word");
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Yes, handle it so" }).ClickAsync();
        await Expect(visit.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync($"data.orderId: Expected '{order}'");
        Assert.Empty(await ConsoleInBrowser.ViolationsAsync(visit.Page));
        await data.FillAsync(said.Replace("\"twelve forty\"", "12.40", StringComparison.Ordinal));
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Yes, handle it so" }).ClickAsync();
        await Expect(visit.Page.GetByText("It was handled as you have edited it.")).ToBeVisibleAsync();

        await visit.OpenAsync($"/orders/{order}");
        await Expect(visit.Page.Locator(".head .badge")).ToHaveTextAsync("shipped");
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "OrderPaid", Exact = true }).First.ClickAsync();
        await visit.Page.GetByRole(AriaRole.Link, new() { Name = "as an operator has edited it" }).ClickAsync();
        var act = visit.Page.GetByLabel("What is on record");
        await Expect(act).ToContainTextAsync("edit and redrive");
        await Expect(act).ToContainTextAsync("ann");
        await Expect(act).ToContainTextAsync("the amount was a word");
        await Expect(act).ToContainTextAsync("handled");
        await Expect(visit.Page.GetByLabel("The message as it came")).ToContainTextAsync("twelve forty");
        Assert.Empty(visit.Complaints);
        // Its page, as it stays on record.
        foreach (var (light, width) in Looks)
        {
            await using var other = await console.VisitAsync(light, width);
            await other.SignInAsync("viewer");
            await other.OpenAsync(new Uri(visit.Page.Url).AbsolutePath);
            await Expect(other.Page.GetByLabel("The message as it was handled")).ToContainTextAsync("12.40");
            await AssertUsableAsync(other, width);
        }
    }

    [Fact]
    public async Task The_read_models_are_rebuilt_and_a_new_version_serves()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");
        await visit.OpenAsync("/projections");
        var serving = visit.Page.GetByLabel("Version that serves").Locator(".value").First;
        var former = int.Parse(await serving.InnerTextAsync(), System.Globalization.CultureInfo.InvariantCulture);

        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Rebuild …" }).ClickAsync();
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Yes, rebuild" }).ClickAsync();

        await Expect(serving).ToHaveTextAsync($"{former + 1}");
    }

    [Fact]
    public async Task The_topology_shows_who_calls_whom_and_what_is_delivered_while_an_order_goes_through()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("viewer");
        await visit.OpenAsync("/topology");
        var (calls, deliveries) = (visit.Page.GetByRole(AriaRole.Table, new() { Name = "Calls" }), visit.Page.GetByRole(AriaRole.Table, new() { Name = "Deliveries" }));
        // Rates are between two looks.
        await Expect(calls.GetByRole(AriaRole.Row, new() { NameRegex = Rated("console ordering") })).ToBeVisibleAsync();

        await using var buyer = await console.VisitAsync();
        await buyer.SignInAsync("operator");
        // Each rate is there for some seconds: they are looked for while orders go through.
        var isSeen = false;
        var buying = BuyAsync();

        try
        {
            await Expect(calls.GetByRole(AriaRole.Row, new() { NameRegex = Rated("ordering inventory") })).ToBeVisibleAsync();
            await Expect(calls.GetByRole(AriaRole.Row, new() { NameRegex = Rated("payments payment-provider-api") })).ToBeVisibleAsync();
            await Expect(deliveries.GetByRole(AriaRole.Row, new() { NameRegex = Rated(@"orders ordering \S+ shipping") })).ToBeVisibleAsync();
            await Expect(visit.Page.GetByRole(AriaRole.Img, new() { Name = "Picture: who calls whom" }).Locator("path.busy").First).ToBeVisibleAsync();
        }
        finally
        {
            Volatile.Write(ref isSeen, true);
            await buying;
        }

        Assert.Empty(await ConsoleInBrowser.ViolationsAsync(visit.Page));
        Assert.Empty(visit.Complaints);

        async Task BuyAsync()
        {
            while (!Volatile.Read(ref isSeen))
                await PlaceAsync(buyer, "An order that goes well", "shipped");
        }

        static Regex Rated(string row) => new($@"^{row} (0\.\d*[1-9]|[1-9])");
    }

    [Fact]
    public async Task A_viewer_sees_everything_and_can_do_nothing()
    {
        ConsoleInBrowser.Require();
        await using (var before = await console.VisitAsync())
        {
            await before.SignInAsync("operator");
            await PlaceAsync(before, "An order that goes well", "shipped");
        }

        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("viewer");

        await visit.OpenAsync("/try-it");
        await Expect(visit.Page.GetByRole(AriaRole.Button, new() { Name = "Place fifty" })).ToBeDisabledAsync();
        await visit.OpenAsync("/projections");
        await Expect(visit.Page.GetByRole(AriaRole.Button, new() { Name = "Rebuild …" })).ToBeDisabledAsync();
        await visit.OpenAsync("/orders");
        await visit.Page.Locator("tbody a.row").First.ClickAsync();
        await Expect(visit.Page.Locator(".head .badge")).ToBeVisibleAsync();
        await Expect(visit.Page.Locator(".note.bad")).ToHaveCountAsync(0);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Everybody_can_use_a_page_in_either_light_and_on_a_narrow_screen(string path)
    {
        ConsoleInBrowser.Require();
        foreach (var (light, width) in Looks)
        {
            await using var visit = await console.VisitAsync(light, width);
            await visit.SignInAsync("operator");
            await visit.Page.GotoAsync(path);
            if (path != "/sign-in")
                await visit.LiveAsync();

            await AssertUsableAsync(visit, width);
            Assert.Empty(visit.Complaints);
            Assert.Empty(visit.AskedElsewhere);
            await Expect(visit.Page.Locator("#blazor-error-ui")).ToBeHiddenAsync();
        }
    }

    [Fact]
    public async Task Everybody_can_use_an_order_s_page_in_either_light_and_on_a_narrow_screen()
    {
        ConsoleInBrowser.Require();
        foreach (var (light, width) in Looks)
        {
            await using var visit = await console.VisitAsync(light, width);
            await visit.SignInAsync("operator");
            await PlaceAsync(visit, "A card that is declined", "cancelled");
            await OpenLastAsync(visit);
            await visit.Page.GetByText("The whole state").ClickAsync();
            await AssertUsableAsync(visit, width);

            await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Event before" }).ClickAsync();
            await Expect(visit.Page.GetByText("another service's")).ToBeVisibleAsync();
            await AssertUsableAsync(visit, width);
        }
    }

    [Fact]
    public async Task Everybody_can_use_dead_letters_and_the_page_of_one_in_either_light_and_on_a_narrow_screen()
    {
        ConsoleInBrowser.Require();
        await HandToDeadLettersAsync(ConsoleInBrowser.OrderIdOf("given-up", Guid.NewGuid().ToString("N")));
        foreach (var (light, width) in Looks)
        {
            await using var visit = await console.VisitAsync(light, width);
            await visit.SignInAsync("operator");
            await visit.OpenAsync("/dead-letters");
            await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Show messages" }).ClickAsync();
            await visit.Page.GetByRole(AriaRole.Button, new() { NameRegex = Discard() }).ClickAsync();
            await Expect(visit.Page.GetByLabel("Why", new() { Exact = true })).ToBeVisibleAsync();
            await AssertUsableAsync(visit, width);

            await visit.Page.Locator("a[href^='/dead-letters/ordering/']").First.ClickAsync();
            await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Name = "Dead letter", Exact = true })).ToBeVisibleAsync();
            await visit.LiveAsync();
            await AssertUsableAsync(visit, width);
            await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Edit and redrive …" }).ClickAsync();
            await Expect(visit.Page.GetByLabel("Data", new() { Exact = true })).ToBeVisibleAsync();
            await AssertUsableAsync(visit, width);
        }

        await using (var visit = await console.VisitAsync())
        {
            await visit.SignInAsync("operator");
            await visit.OpenAsync("/dead-letters");
            await visit.Page.GetByRole(AriaRole.Button, new() { NameRegex = Discard() }).ClickAsync();
            await visit.Page.GetByLabel("Why", new() { Exact = true }).FillAsync("nobody ordered it");
            await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Yes, give up" }).ClickAsync();
            await Expect(visit.Page.GetByLabel("Progress")).ToContainTextAsync("1 given up");
        }

        foreach (var (light, width) in Looks)
        {
            await using var visit = await console.VisitAsync(light, width);
            await visit.SignInAsync("operator");
            await visit.OpenAsync("/dead-letters");
            await Expect(visit.Page.Locator(".record tbody tr", new() { HasText = "nobody ordered it" })).ToBeVisibleAsync();
            await AssertUsableAsync(visit, width);
        }
    }

    [Theory]
    [InlineData("/sign-in")]
    [InlineData("/no/such/page")]
    [InlineData("/trouble")]
    public async Task Everybody_can_use_what_is_shown_to_somebody_who_has_not_signed_in(string path)
    {
        ConsoleInBrowser.Require();
        foreach (var (light, width) in Looks)
        {
            await using var visit = await console.VisitAsync(light, width);

            await visit.Page.GotoAsync(path);

            await AssertUsableAsync(visit, width);
        }
    }

    [Fact]
    public async Task Whoever_signs_out_leaves_no_page_of_the_browser_open()
    {
        ConsoleInBrowser.Require();
        await using var visit = await console.VisitAsync();
        await visit.SignInAsync("operator");
        await visit.OpenAsync("/stock");
        var elsewhere = await visit.Page.Context.NewPageAsync();
        await elsewhere.GotoAsync("/orders");

        await elsewhere.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();

        await visit.Page.WaitForURLAsync("**/sign-in*");
    }

    [Fact]
    public async Task Whoever_signs_in_at_the_provider_without_a_role_is_told_so_and_all_pages_on_the_way_can_be_used_by_everybody()
    {
        ConsoleInBrowser.Require();
        await using var provider = await PlayedProvider.StartAsync();
        provider.Account = Account.With();
        await using var strangers = await ConsoleOfProvider.StartAsync(provider);
        foreach (var (light, width) in Looks)
        {
            await using var visit = await console.VisitAsync(light, width, strangers.Address);
            await visit.Page.GotoAsync("/sign-in?failed=true");
            await Expect(visit.Page.GetByText("That did not work")).ToBeVisibleAsync();
            await AssertUsableAsync(visit, width);

            await visit.Page.GotoAsync("/");
            await visit.Page.GetByRole(AriaRole.Link, new() { Name = "Sign in" }).ClickAsync();

            await Expect(visit.Page.GetByRole(AriaRole.Heading, new() { Name = "Nothing for you to see yet" })).ToBeVisibleAsync();
            await Expect(visit.Page.GetByRole(AriaRole.Main).GetByText("Ann Other")).ToBeVisibleAsync();
            await AssertUsableAsync(visit, width);
        }
    }

    /// <summary>Light and dark, and as narrow as a telephone.</summary>
    private static (ColorScheme Light, int Width)[] Looks => [(ColorScheme.Light, 1280), (ColorScheme.Dark, 1280), (ColorScheme.Dark, 400)];

    private static async Task AssertUsableAsync(ConsoleVisit visit, int width)
    {
        Assert.Empty(await ConsoleInBrowser.ViolationsAsync(visit.Page));
        if (width == 400)
            Assert.Equal(400, await WidthAsync(visit));
    }

    [GeneratedRegex("(?m)^@page \"([^\"]+)\"")]
    private static partial Regex PageOf();

    [GeneratedRegex("^Discard")]
    private static partial Regex Discard();

    private static Task<int> WidthAsync(ConsoleVisit visit) => visit.Page.EvaluateAsync<int>("() => Math.max(400, document.documentElement.scrollWidth)");

    private static async Task PlaceAsync(ConsoleVisit visit, string kind, string ends)
    {
        await visit.OpenAsync("/try-it");
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = $"Place: {kind}" }).ClickAsync();
        await Expect(visit.Page.Locator(".holds .badge").First).ToHaveTextAsync(ends);
    }

    private static async Task OpenLastAsync(ConsoleVisit visit)
    {
        await visit.Page.Locator(".holds a").First.ClickAsync();
        await visit.Page.GetByRole(AriaRole.Slider).WaitForAsync();
        await visit.LiveAsync();
    }

    /// <summary>As a sidecar does with an event that no attempt could deliver.</summary>
    private async Task HandToDeadLettersAsync(string order, JsonNode? amount = null)
    {
        using var answer = await console.Shop.SendAsync(HttpMethod.Post, "ordering", "events/dead-letters", new JsonObject
        {
            ["specversion"] = "1.0",
            ["id"] = $"payment-{order}:2",
            ["source"] = "payments",
            ["type"] = "PaymentAuthorized",
            ["topic"] = "payments",
            ["pubsubname"] = "pubsub",
            ["time"] = "2026-01-02T03:04:05Z",
            ["stream"] = $"payment-{order}",
            ["streamversion"] = "2",
            ["schemaversion"] = "1",
            ["data"] = new JsonObject
            {
                ["orderId"] = order,
                ["chargeId"] = "ch-early",
                ["amount"] = new JsonObject { ["amount"] = amount ?? JsonValue.Create(12.40m), ["currency"] = "EUR" },
            },
        });
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }
}
