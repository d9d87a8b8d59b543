using System.Net;
using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.Routing.Template;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.Console.Tests;

/// <summary>The whole of the console over HTTP, with the services played.</summary>
public sealed partial class PagesTests : IDisposable
{
    private const string SigningKey = "bm90IGEgc2VjcmV0OiBhIHRlc3QncyBvd24ga2V5LCBub2JvZHkgZWxzZSBoYXMgaXQ=";

    private readonly List<IDisposable> _disposables = [];

    public static TheoryData<string> Pages => ["/", "/orders", "/orders/o-1", "/dead-letters", "/dead-letters/shipping/a", "/dead-letters/shipping/acts", "/dead-letters/shipping/acts/a", "/stock", "/projections", "/topology", "/try-it", "/sign-in", "/no-role", "/trouble", "/nothing-here"];

    [Fact]
    public void Every_page_is_among_these()
    {
        var missing = typeof(ConsoleOptions).Assembly.GetTypes().SelectMany(type => type.GetCustomAttributes<RouteAttribute>()).Select(page => page.Template)
            .Except(Pages.Select(page => TemplateOf(page.Data)));

        Assert.Empty(missing);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_page_has_no_script_of_its_own_and_asks_nobody_else(string page)
    {
        using var http = Open(FakeServices.AtRest());

        using var answer = await http.GetAsync(page, TestContext.Current.CancellationToken);
        var html = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("script-src 'self';", policy, StringComparison.Ordinal);
        Assert.All(Scripts().Matches(html), script => Assert.Contains("src=", script.Value, StringComparison.Ordinal));
        Assert.Empty(Handlers().Matches(html));
        Assert.Empty(Elsewhere().Matches(html));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_page_is_there_while_no_service_is(string page)
    {
        using var http = Open(new FakeServices());

        using var answer = await http.GetAsync(page, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData("/orders/o-1", "There is no order")]
    [InlineData("/dead-letters/shipping/a", "There is no such dead letter any more")]
    [InlineData("/dead-letters/x/acts", "There is no service")]
    [InlineData("/dead-letters/shipping/acts/a", "There is no such act on record")]
    [InlineData("/no-such-page", "There is no such page")]
    public async Task What_is_not_there_is_told_to_programs_too(string page, string told)
    {
        var services = FakeServices.AtRest().Answer("shipping", "dead-letters/a", "{}", HttpStatusCode.NotFound).Answer("shipping", "dead-letters/acts/a", "{}", HttpStatusCode.NotFound);
        foreach (var (of, part) in OrderStory.StoryReader.Streams)
            services.Answer(of, $"event-log/streams/{part}-o-1?limit=200", "[]");
        using var http = Open(services.Answer("ordering", "orders/o-1", "{}", HttpStatusCode.NotFound));

        using var answer = await http.GetAsync(page, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains(told, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ordering")]
    [InlineData("inventory")]
    [InlineData("payments")]
    [InlineData("shipping")]
    [InlineData("reporting")]
    public async Task While_one_service_is_away_every_page_that_asks_it_says_so(string app)
    {
        var services = FakeServices.AtRest()
            .Answer("ordering", "orders/o-1", Samples.Order("o-1", "created", 1))
            .Answer("ordering", "orders/o-1?version=1", Samples.Order("o-1", "created", 1));
        foreach (var (of, part) in OrderStory.StoryReader.Streams)
            services.Answer(of, $"event-log/streams/{part}-o-1?limit=200", $"[{Samples.Event($"{part}-o-1", 1, "Happened", DateTimeOffset.UtcNow)}]");
        using var http = Open(services.Without(app));

        foreach (var page in Pages)
        {
            services.Asked.Clear();
            var html = await http.GetStringAsync(page.Data, TestContext.Current.CancellationToken);

            Assert.True(services.Asked.All(asked => asked.App != app) || html.Contains($"{app} cannot be reached", StringComparison.Ordinal), $"{page.Data} asks {app} and does not say that it is away.");
        }
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/dead-letters")]
    [InlineData("/orders")]
    [InlineData("/orders/o-1")]
    [InlineData("/stock")]
    [InlineData("/projections")]
    [InlineData("/topology")]
    public async Task What_a_page_brings_along_is_small_however_much_there_is(string page)
    {
        var services = FakeServices.AtRest();
        foreach (var app in Calling.Apps.All)
        {
            services.Answer(app, "dead-letters?limit=500", Samples.Letters([.. Enumerable.Range(1, 500).Select(i =>
                Samples.Letter($"l-{i}", $"order-{i}", $"Reason {(char)('a' + i % 26)}{(char)('a' + i / 26)}\n{new string('x', 4000)}"))]));
            services.Answer(app, "dead-letters/counts", Samples.Counts(null, [.. Enumerable.Range(1, 100).Select(i => ($"Reason {i} {new string('x', 150)}", i))]));
        }

        var line = """{"sku":"tea","name":"Tea","quantity":2,"unitPrice":{"amount":9.50,"currency":"EUR"}}""";
        services.Answer("reporting", "orders?limit=50", Samples.Page(null, [.. Enumerable.Range(1, 50).Select(i =>
            Samples.Listed($"o-{i}", "shipped", DateTimeOffset.UtcNow).Replace(line, string.Join(",", Enumerable.Repeat(line, 100)), StringComparison.Ordinal))]));
        services.Answer("inventory", "products?limit=100", """{"products":[{"sku":"tea","name":"Tea","price":{"amount":9.50,"currency":"EUR"},"onHand":60000,"reserved":60000,"available":0}],"next":null}""");
        foreach (var status in Calling.OrderStatuses.Open)
        {
            services.Answer("reporting", $"orders?status={status}&limit=200", Samples.Page(null, [.. Enumerable.Range(1, 200).Select(i =>
                Samples.Listed($"o-{status}-{i}", status, DateTimeOffset.UtcNow).Replace(line, string.Join(",", Enumerable.Repeat(line, 10)), StringComparison.Ordinal))]));
        }

        var lines = string.Join(",", Enumerable.Range(1, 100).Select(i => $$$"""{"sku":"tea-{{{i}}}","name":"{{{new string('τ', 60)}}}","quantity":2,"unitPrice":{"amount":9.50,"currency":"EUR"}}"""));
        var order = Samples.Order("o-1", "paid", 3).Replace(line, lines, StringComparison.Ordinal);
        services.Answer("ordering", "orders/o-1", order);
        for (var version = 1; version <= 3; version++)
            services.Answer("ordering", $"orders/o-1?version={version}", order);
        foreach (var (of, part) in OrderStory.StoryReader.Streams)
            services.Answer(of, $"event-log/streams/{part}-o-1?limit=200", $"[{Samples.Event($"{part}-o-1", 1, "Happened", DateTimeOffset.UtcNow, data: $$"""{"lines":[{{lines}}]}""")}]");

        var names = Enumerable.Range(1, 20).Select(i => $"lane-{i}").ToList();
        foreach (var app in Calling.Apps.Publishers)
            services.Answer(app, "event-log", $$"""{"lanes":[{{string.Join(",", names.Select(lane => $$"""{"name":"{{lane}}","settled":100000,"isClosed":false}"""))}}],"loss":null}""");
        var followed = $$"""{"version":1,"since":null,"events":100000,"lanes":[{{string.Join(",", Calling.Apps.Publishers.SelectMany(app => names.Select(lane =>
            $$"""{"publisher":"{{app}}","topic":"orders","lane":"{{lane}}","position":100000,"events":100000}""")))}}]}""";
        services.Answer("reporting", "projections", $$"""{"serving":{{followed}},"building":{{followed}},"failure":null}""");

        var subscription = """{"pubsubName":"pubsub","topic":"orders","deadLetterTopic":"orders-dead","rules":[{"path":"/events/orders"}]}""";
        services.Answer("shipping", "sidecar", $$"""{"id":"shipping","runtimeVersion":"1.18.1","components":[],"subscriptions":[{{string.Join(",", Enumerable.Repeat(subscription, 2000))}}]}""");
        using var http = Open(services);

        var html = await http.GetStringAsync(page, TestContext.Current.CancellationToken);

        // The hub takes 512 KB.
        Assert.InRange(BroughtAlong().Match(html).Groups[1].Length, 1, 128 * 1024);
    }

    [Theory]
    [InlineData("/_content/MudBlazor/MudBlazor.min.css")]
    [InlineData("/console.css")]
    [InlineData("/console.js")]
    [InlineData("/_framework/blazor.web.js")]
    public async Task What_pages_need_is_here_without_signing_in(string asset)
    {
        using var http = Open(new FakeServices(), SignedInBy());

        using var answer = await http.GetAsync(asset, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Where_people_sign_in_pages_lead_there_and_health_is_for_all()
    {
        using var http = Open(FakeServices.AtRest(), SignedInBy());

        using var page = await http.GetAsync("/orders", TestContext.Current.CancellationToken);
        using var health = await http.GetAsync("/healthz/live", TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.Redirect, "/sign-in"), (page.StatusCode, page.Headers.Location!.AbsolutePath));
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
    }

    [Theory]
    [InlineData("viewer")]
    [InlineData("operator")]
    public async Task In_development_one_signs_in_here_and_the_token_is_sent_on(string role)
    {
        var services = FakeServices.AtRest();
        using var http = Open(services, SignedInBy());

        await SignInAsync(http, role);
        var page = await http.GetStringAsync("/stock", TestContext.Current.CancellationToken);

        Assert.Contains($"<span class=\"quiet\">{role}</span>", page, StringComparison.Ordinal);
        var token = services.Asked.Last(asked => asked.App == "inventory").Authorization;
        var claims = new Microsoft.IdentityModel.JsonWebTokens.JsonWebTokenHandler();
        var valid = await claims.ValidateTokenAsync(token!["Bearer ".Length..], new()
        {
            ValidIssuer = "dotnet-user-jwts",
            ValidAudience = "daprorders",
            IssuerSigningKey = new Microsoft.IdentityModel.Tokens.SymmetricSecurityKey(Convert.FromBase64String(SigningKey)),
        });
        Assert.True(valid.IsValid, valid.Exception?.Message);
        Assert.Equal(("ann", role), ((string)valid.Claims["sub"], (string)valid.Claims["role"]));
    }

    [Theory]
    [InlineData("/session")]
    [InlineData("/session/end")]
    [InlineData("/appearance")]
    public async Task A_form_that_is_not_from_here_does_nothing(string path)
    {
        using var http = Open(FakeServices.AtRest(), SignedInBy());
        await SignInAsync(http, "viewer");

        using var answer = await http.PostAsync(path, new FormUrlEncodedContent([new("name", "eve"), new("role", "operator"), new("appearance", "dark")]), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("<span class=\"quiet\">viewer</span>", await http.GetStringAsync("/stock", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Outside_of_development_there_are_no_local_tokens_whatever_the_settings_hold()
    {
        using var http = Open(FakeServices.AtRest(), SignedInBy(), Environments.Production);

        var page = await http.GetStringAsync("/sign-in", TestContext.Current.CancellationToken);
        using var answer = await http.PostAsync("/session", new FormUrlEncodedContent([new("name", "eve"), new("role", "operator")]), TestContext.Current.CancellationToken);

        Assert.Contains("no local sign-in", page, StringComparison.Ordinal);
        Assert.False(answer.IsSuccessStatusCode);
        Assert.False(answer.Headers.Contains("Set-Cookie") && answer.Headers.GetValues("Set-Cookie").Any(cookie => cookie.StartsWith("daprorders-console", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Who_chose_dark_has_it_dark()
    {
        using var http = Open(FakeServices.AtRest());
        var page = await http.GetStringAsync("/stock", TestContext.Current.CancellationToken);

        using var chosen = await http.PostAsync("/appearance", new FormUrlEncodedContent(
            [new("appearance", "dark"), new("back", "/stock"), new("__RequestVerificationToken", Token().Match(page).Groups[1].Value)]), TestContext.Current.CancellationToken);

        Assert.Equal("/stock", chosen.Headers.Location!.ToString());
        Assert.Contains("data-appearance=\"dark\"", await http.GetStringAsync("/stock", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_page_of_a_failure_has_the_headers_of_the_others()
    {
        var services = FakeServices.AtRest();
        services.Answer("inventory", "products?limit=100", () => throw new InvalidOperationException("a mistake in the console"));
        using var http = Open(services, environment: Environments.Production);

        using var answer = await http.GetAsync("/stock", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains("href=\"/stock#content\"", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains("script-src 'self';", answer.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal("nosniff", answer.Headers.GetValues("X-Content-Type-Options").Single());
    }

    [Fact]
    public void What_a_service_may_take_half_a_minute_for_is_waited_for()
    {
        using var console = Consoles.Of(new FakeServices(), new Dictionary<string, string>(), Environments.Development);
        using var acts = console.Services.GetRequiredService<IHttpClientFactory>().CreateClient(Calling.ServicesClient.Acts);

        Assert.InRange(acts.Timeout, TimeSpan.FromSeconds(31), TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task What_does_not_exist_is_answered_so()
    {
        using var http = Open(FakeServices.AtRest());

        using var answer = await http.GetAsync("/nowhere?at=all", TestContext.Current.CancellationToken);
        var page = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains("Nothing here", page, StringComparison.Ordinal);
        // It stays on its address, whatever is clicked on it.
        Assert.Contains("href=\"/nowhere?at=all#content\"", page, StringComparison.Ordinal);
    }

    public void Dispose() => _disposables.ForEach(disposable => disposable.Dispose());

    /// <summary>The page's own address; of two that could be it, the one that says more.</summary>
    private static string TemplateOf(string address) => typeof(ConsoleOptions).Assembly.GetTypes().SelectMany(type => type.GetCustomAttributes<RouteAttribute>()).Select(page => page.Template)
        .Where(template => new TemplateMatcher(TemplateParser.Parse(template), []).TryMatch(address, []))
        .MinBy(template => template.Count(letter => letter == '{')) ?? "";

    private static async Task SignInAsync(HttpClient http, string role)
    {
        var page = await http.GetStringAsync("/sign-in", TestContext.Current.CancellationToken);
        using var answer = await http.PostAsync("/session", new FormUrlEncodedContent(
            [new("name", "ann"), new("role", role), new("__RequestVerificationToken", Token().Match(page).Groups[1].Value)]), TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.Redirect, "/"), (answer.StatusCode, answer.Headers.Location?.ToString()));
    }

    private static Dictionary<string, string> SignedInBy() => new()
    {
        ["APP_API_TOKEN"] = "between-sidecars",
        ["Authentication:Schemes:Bearer:ValidIssuer"] = "dotnet-user-jwts",
        ["Authentication:Schemes:Bearer:ValidAudiences:0"] = "daprorders",
        ["Authentication:Schemes:Bearer:SigningKeys:0:Id"] = "test",
        ["Authentication:Schemes:Bearer:SigningKeys:0:Issuer"] = "dotnet-user-jwts",
        ["Authentication:Schemes:Bearer:SigningKeys:0:Value"] = SigningKey,
    };

    private HttpClient Open(FakeServices services, Dictionary<string, string>? settings = null, string environment = "Development")
    {
        var factory = Consoles.Of(services, settings ?? [], environment);
        _disposables.Add(factory);
        return factory.CreateClient(new WebApplicationFactoryClientOptions { AllowAutoRedirect = false });
    }

    [GeneratedRegex("<!--Blazor-Server-Component-State:([^-]+)-->")]
    private static partial Regex BroughtAlong();

    [GeneratedRegex("<script[^>]*>")]
    private static partial Regex Scripts();

    [GeneratedRegex("""\son[a-z]+=["']""")]
    private static partial Regex Handlers();

    [GeneratedRegex("""(src|href|action)=["'](https?:)?//""")]
    private static partial Regex Elsewhere();

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();
}
