using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Console.Tests;

/// <summary>The console where people sign in at an OpenID provider, as their browser sees it.</summary>
public sealed partial class OpenIdSignInTests : IDisposable
{
    private readonly List<IDisposable> _disposables = [];
    private readonly FakeServices _services = FakeServices.AtRest();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_signs_in_at_the_provider_sees_the_page_they_wanted_and_the_services_get_the_access_token()
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(Of(provider));

        using var first = await browser.GetAsync("/stock", Cancellation);
        var signIn = await browser.GetStringAsync(first.Headers.Location, Cancellation);
        using var back = await SignInAsync(browser, WebUtility.HtmlDecode(SignInLink().Match(signIn).Groups[1].Value));
        var page = await browser.GetStringAsync(back.Headers.Location, Cancellation);

        Assert.Equal("/stock", back.Headers.Location?.ToString());
        Assert.Contains("<span>Ann Other</span><span class=\"quiet\">operator</span>", page, StringComparison.Ordinal);
        Assert.All(_services.Asked, asked => Assert.Equal($"Bearer {provider.Issued.Single().Access}", asked.Authorization));
        Assert.Contains(_services.Asked, asked => asked.App == "inventory");
    }

    [Theory]
    [InlineData("operator", true)]
    [InlineData("viewer", false)]
    public async Task Actions_are_offered_to_operators_and_not_to_viewers(string role, bool areOffered)
    {
        await using var provider = await PlayedProvider.StartAsync();
        provider.Account = Account.With("buyer", role);
        _services.Answer("ordering", "orders/o-1", Samples.Order("o-1", "created", 1));
        var browser = Open(Of(provider));

        using var signedIn = await SignInAsync(browser);
        var page = await browser.GetStringAsync("/orders/o-1", Cancellation);

        Assert.Contains($"<span class=\"quiet\">{role}</span>", page, StringComparison.Ordinal);
        Assert.Equal(areOffered, !CancelButton().Match(page).Groups[1].Value.Contains("disabled", StringComparison.Ordinal));
        Assert.Matches(CancelButton(), page);
    }

    [Fact]
    public async Task Whoever_has_neither_role_is_told_and_sees_no_page()
    {
        await using var provider = await PlayedProvider.StartAsync();
        provider.Account = Account.With("buyer");
        var browser = Open(Of(provider));

        using var signedIn = await SignInAsync(browser);
        using var refused = await browser.GetAsync("/", Cancellation);
        using var told = await browser.GetAsync(refused.Headers.Location, Cancellation);

        Assert.Equal((HttpStatusCode.Redirect, "/no-role"), (refused.StatusCode, refused.Headers.Location!.AbsolutePath));
        Assert.Equal(HttpStatusCode.OK, told.StatusCode);
        Assert.Contains("with neither of the roles", await told.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        Assert.Empty(_services.Asked);
    }

    [Theory]
    [InlineData("preferred_username", "ann@example.org")]
    [InlineData("email", PlayedProvider.Subject)]
    public async Task The_name_is_the_best_that_the_provider_tells(string claim, string shown)
    {
        await using var provider = await PlayedProvider.StartAsync();
        provider.Account = Account.With("viewer") with { IdClaims = new Dictionary<string, object> { [claim] = "ann@example.org" } };
        var browser = Open(Of(provider));

        using var signedIn = await SignInAsync(browser);

        Assert.Contains($"<p class=\"who\"><span>{shown}</span>", await browser.GetStringAsync("/stock", Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Roles_are_read_from_the_claim_that_the_services_read_too()
    {
        await using var provider = await PlayedProvider.StartAsync();
        provider.Account = Account.With("operator") with { Claims = new Dictionary<string, object> { ["role"] = "operator", ["groups"] = "viewer" } };
        var browser = Open([.. Of(provider), new("Auth:RoleClaim", "groups")]);

        using var signedIn = await SignInAsync(browser);

        Assert.Contains("<span class=\"quiet\">viewer</span>", await browser.GetStringAsync("/stock", Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_provider_is_asked_for_the_scopes_that_are_set_and_told_the_secret()
    {
        await using var provider = await PlayedProvider.StartAsync(secret: "of-the-console");
        var browser = Open([.. Of(provider), new("Console:Scope", "api://daprorders/use offline"), new("Console:ClientSecret", "of-the-console")]);

        using var asked = await browser.GetAsync("/session/begin", Cancellation);
        using var signedIn = await SignInAsync(browser);

        Assert.Equal("openid profile api://daprorders/use offline", QueryHelpers.ParseQuery(asked.Headers.Location!.Query)["scope"]);
        Assert.Equal("/", signedIn.Headers.Location?.ToString());
    }

    [Fact]
    public async Task The_session_ends_with_the_access_token_however_much_it_is_used()
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(Of(provider));
        using var signedIn = await SignInAsync(browser);

        _time.Advance(provider.ValidFor - TimeSpan.FromMinutes(1));
        using var before = await browser.GetAsync("/stock", Cancellation);
        _time.Advance(TimeSpan.FromMinutes(2));
        using var after = await browser.GetAsync("/stock", Cancellation);

        Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        Assert.Equal((HttpStatusCode.Redirect, "/sign-in"), (after.StatusCode, after.Headers.Location!.AbsolutePath));
    }

    [Fact]
    public async Task A_token_that_is_not_for_the_services_begins_no_session()
    {
        await using var provider = await PlayedProvider.StartAsync();
        provider.TokenAudience = "another-api";
        var browser = Open(Of(provider));

        using var failed = await SignInAsync(browser);
        var told = await browser.GetStringAsync(failed.Headers.Location, Cancellation);
        using var page = await browser.GetAsync("/", Cancellation);

        Assert.Contains("That did not work", told, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
    }

    [Theory]
    [InlineData("/signin-oidc?error=access_denied&state=made-up")]
    [InlineData("/signin-oidc?code=made-up&state=made-up")]
    public async Task What_did_not_begin_here_signs_nobody_in(string callback)
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(Of(provider));

        using var answer = await browser.GetAsync(callback, Cancellation);

        Assert.Equal((HttpStatusCode.Redirect, "/sign-in?failed=true"), (answer.StatusCode, answer.Headers.Location?.ToString()));
    }

    [Fact]
    public async Task A_provider_that_is_away_is_told_on_the_page()
    {
        var provider = await PlayedProvider.StartAsync();
        var settings = Of(provider);
        await provider.DisposeAsync();
        var browser = Open(settings);

        using var answer = await browser.GetAsync("/session/begin", Cancellation);

        Assert.Equal((HttpStatusCode.Redirect, "/sign-in?failed=true"), (answer.StatusCode, answer.Headers.Location?.ToString()));
    }

    [Fact]
    public async Task Signing_out_ends_the_session_here_and_leads_on_to_the_provider_without_a_redirect_of_the_form()
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(Of(provider));
        using var signedIn = await SignInAsync(browser);

        using var signedOut = await SignOutAsync(browser);
        var onward = new Uri(Assert.Single(signedOut.Headers.GetValues("Refresh"))["0; url=".Length..]);
        using var provided = await VisitAsync(onward);
        using var back = await browser.GetAsync(provided.Headers.Location, Cancellation);
        using var page = await browser.GetAsync("/stock", Cancellation);

        Assert.Equal((HttpStatusCode.OK, null), (signedOut.StatusCode, signedOut.Headers.Location));
        Assert.StartsWith($"{provider.Address}/end?", onward.ToString(), StringComparison.Ordinal);
        Assert.Equal(provider.Issued.Single().Id, QueryHelpers.ParseQuery(onward.Query)["id_token_hint"]);
        Assert.Equal("http://localhost/sign-in", back.Headers.Location?.ToString());
        Assert.Equal((HttpStatusCode.Redirect, "/sign-in"), (page.StatusCode, page.Headers.Location!.AbsolutePath));
    }

    [Fact]
    public async Task A_provider_that_ends_no_sessions_is_not_asked_to()
    {
        await using var provider = await PlayedProvider.StartAsync(endsSessions: false);
        var browser = Open(Of(provider));
        using var signedIn = await SignInAsync(browser);

        using var signedOut = await SignOutAsync(browser);
        using var page = await browser.GetAsync("/stock", Cancellation);

        Assert.Equal((HttpStatusCode.Redirect, "/sign-in"), (signedOut.StatusCode, signedOut.Headers.Location?.ToString()));
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
    }

    [Fact]
    public async Task Cookies_are_sent_on_the_way_back_and_by_https_alone_where_there_is_https()
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(Of(provider), "https://console.example.org");

        using var asked = await browser.GetAsync("/session/begin", Cancellation);
        using var signedIn = await SignInAsync(browser);

        var cookies = asked.Headers.GetValues("Set-Cookie").Concat(signedIn.Headers.GetValues("Set-Cookie")).Where(cookie => !cookie.Contains("1970", StringComparison.Ordinal)).ToList();
        Assert.Contains(cookies, cookie => cookie.StartsWith("daprorders-console=", StringComparison.Ordinal));
        Assert.All(cookies, cookie => Assert.All(["; secure", "; samesite=lax", "; httponly"], part => Assert.Contains(part, cookie, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("true", "https://console.example.org/signin-oidc")]
    [InlineData("false", "http://localhost/signin-oidc")]
    public async Task What_a_proxy_says_of_the_address_is_believed_only_where_there_is_one(string isBehindProxy, string comesBackTo)
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open([.. Of(provider), new("ForwardedHeaders_Enabled", isBehindProxy)]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/session/begin") { Headers = { { "X-Forwarded-Proto", "https" }, { "X-Forwarded-Host", "console.example.org" } } };

        using var asked = await browser.SendAsync(request, Cancellation);

        Assert.Equal(comesBackTo, QueryHelpers.ParseQuery(asked.Headers.Location!.Query)["redirect_uri"]);
    }

    [Theory]
    [InlineData("//elsewhere.example.org")]
    [InlineData("https://elsewhere.example.org")]
    [InlineData("/\\elsewhere.example.org")]
    public async Task Signing_in_leads_to_no_other_site(string back)
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(Of(provider));

        using var signedIn = await SignInAsync(browser, $"/session/begin?back={Uri.EscapeDataString(back)}");

        Assert.Equal("/", signedIn.Headers.Location?.ToString());
    }

    [Fact]
    public async Task Without_its_client_id_the_console_does_not_start_and_says_what_to_set()
    {
        await using var provider = await PlayedProvider.StartAsync();

        var refusal = Assert.Throws<InvalidOperationException>(() => Open([.. Of(provider).Where(setting => setting.Key != "Console:ClientId")]));

        Assert.Contains("Console__ClientId", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_there_is_a_provider_nobody_signs_in_by_themselves_even_in_development()
    {
        await using var provider = await PlayedProvider.StartAsync();
        var browser = Open(
            [.. Of(provider), new("Authentication:Schemes:Bearer:ValidIssuer", "dotnet-user-jwts"), new("Authentication:Schemes:Bearer:ValidAudiences:0", "daprorders"),
                new("Authentication:Schemes:Bearer:SigningKeys:0:Issuer", "dotnet-user-jwts"), new("Authentication:Schemes:Bearer:SigningKeys:0:Value", Convert.ToBase64String(new byte[32]))],
            environment: Environments.Development);

        var page = await browser.GetStringAsync("/sign-in", Cancellation);

        Assert.DoesNotContain("action=\"/session\"", page, StringComparison.Ordinal);
        Assert.Matches(SignInLink(), page);
    }

    public void Dispose() => _disposables.ForEach(disposable => disposable.Dispose());

    private static Dictionary<string, string> Of(PlayedProvider provider) => new()
    {
        ["APP_API_TOKEN"] = "between-sidecars",
        ["Auth:Authority"] = provider.Address,
        ["Auth:Audience"] = PlayedProvider.Audience,
        ["Console:ClientId"] = PlayedProvider.ClientId,
    };

    private HttpClient Open(IEnumerable<KeyValuePair<string, string>> settings, string address = "http://localhost", string? environment = null)
    {
        var factory = Consoles.Of(_services, settings.ToDictionary(), environment ?? Environments.Production, _time);
        _disposables.Add(factory);
        return factory.CreateClient(new WebApplicationFactoryClientOptions { AllowAutoRedirect = false, BaseAddress = new Uri(address) });
    }

    /// <summary>To the provider and back, up to the first answer of the console that is none of the protocol.</summary>
    private static async Task<HttpResponseMessage> SignInAsync(HttpClient browser, string begin = "/session/begin")
    {
        using var asked = await browser.GetAsync(begin, Cancellation);
        using var provided = await VisitAsync(asked.Headers.Location!);
        var back = await browser.GetAsync(provided.Headers.Location, Cancellation);
        Assert.Equal(HttpStatusCode.Redirect, back.StatusCode);
        return back;
    }

    private static async Task<HttpResponseMessage> SignOutAsync(HttpClient browser)
    {
        var page = await browser.GetStringAsync("/stock", Cancellation);
        var form = SignOutForm().Match(page).Groups[1].Value;
        return await browser.PostAsync("/session/end", new FormUrlEncodedContent([new("__RequestVerificationToken", form)]), Cancellation);
    }

    /// <summary>What the browser does at the provider: a site of its own, with cookies of its own.</summary>
    private static async Task<HttpResponseMessage> VisitAsync(Uri address)
    {
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
        http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("text/html"));
        var answer = await http.GetAsync(address, Cancellation);
        Assert.Equal(HttpStatusCode.Redirect, answer.StatusCode);
        return answer;
    }

    [GeneratedRegex("href=\"(/session/begin[^\"]*)\"")]
    private static partial Regex SignInLink();

    [GeneratedRegex("action=\"/session/end\".*?name=\"__RequestVerificationToken\" value=\"([^\"]+)\"", RegexOptions.Singleline)]
    private static partial Regex SignOutForm();

    [GeneratedRegex("<button ([^>]*)>Cancel order")]
    private static partial Regex CancelButton();
}
