using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DaprOrders.Tests.Servers;
using Microsoft.Playwright;

namespace DaprOrders.EndToEnd.Tests.Browser;

/// <summary>
/// A system whose people sign in, and the system's Chromium in front of its console. Nothing is downloaded: where there is no Chromium, or no axe-core,
/// the tests are skipped and nothing is started.
/// </summary>
public sealed class ConsoleInBrowser : IAsyncLifetime
{
    private const string Issuer = "dotnet-user-jwts";

    /// <summary>In milliseconds: a busy machine takes longer than the five seconds that are given to it.</summary>
    private const float Patience = 120_000;

    private static readonly string Folder = Path.Combine(
        typeof(ConsoleInBrowser).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "RepositoryRoot").Value!, "tests", "EndToEnd", "Browser");

    private static readonly string Axe = Path.Combine(Folder, "node_modules", "axe-core", "axe.min.js");

    private static readonly string? Chromium = new[] { "chromium", "chromium-browser", "google-chrome", "chrome", "msedge" }.Select(ServerProgram.Find).FirstOrDefault(found => found is not null);

    private readonly Installation _installation = new(withConsole: true);
    private readonly Cable _paymentProvider;
    private readonly OrdersSystem _system;
    private readonly HttpClient _http = new();
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public ConsoleInBrowser()
    {
        foreach (var app in Shop.Apps.Append("console"))
        {
            _installation.Set(app, "Authentication__Schemes__Bearer__ValidIssuer", Issuer);
            _installation.Set(app, "Authentication__Schemes__Bearer__ValidAudiences__0", "daprorders");
            _installation.Set(app, "Authentication__Schemes__Bearer__SigningKeys__0__Id", "test");
            _installation.Set(app, "Authentication__Schemes__Bearer__SigningKeys__0__Issuer", Issuer);
            _installation.Set(app, "Authentication__Schemes__Bearer__SigningKeys__0__Value", SigningKey);
            // Tests hand over events that nobody signed.
            _installation.Set(app, "EVENTS_SIGNING_KEY", "");
        }

        // An order that is paid by pm_timeout waits for longer than any test.
        _installation.Set("payments", "Payments__ProviderTimeout", "00:05:00");
        _installation.Set("console", "DOTNET_ENVIRONMENT", "Development");
        _paymentProvider = new Cable(_installation.PaymentProvider.Port);
        _installation.StandBeforePaymentProvider(_paymentProvider.Port);
        _system = new OrdersSystem(_installation);
    }

    public Shop Shop => _system.Shop;

    private static string SigningKey { get; } = Convert.ToBase64String(RandomNumberGenerator.GetBytes(64));

    /// <summary>A token as <c>dotnet user-jwts</c> makes it.</summary>
    private static (string Name, string Value) Operator
    {
        get
        {
            var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
            var signed = $"{Base64Url.EncodeToString("""{"alg":"HS256","typ":"JWT"}"""u8)}.{Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(new
            {
                sub = "ann",
                role = "operator",
                iss = Issuer,
                aud = "daprorders",
                nbf = now - 60,
                exp = now + 3600,
            }))}";
            var signature = HMACSHA256.HashData(Convert.FromBase64String(SigningKey), Encoding.ASCII.GetBytes(signed));
            return ("Authorization", $"Bearer {signed}.{Base64Url.EncodeToString(signature)}");
        }
    }

    private static string? Missing => Chromium is null ? "Chromium is not installed (on Debian: apt-get install chromium)"
        : !File.Exists(Axe) ? $"axe-core is not installed (npm ci in {Folder})"
        : null;

    private Uri Address => new($"http://localhost:{_installation.PortOf("console", "appPort").ToString(CultureInfo.InvariantCulture)}");

    public static void Require() => ServerProgram.Require(Missing);

    public async ValueTask InitializeAsync()
    {
        if (Missing is not null)
            return;
        await _system.InitializeAsync();
        await Until.TrueAsync(IsReadyAsync, TimeSpan.FromMinutes(5), () => $"The console did not become ready: {_system.Output}");
        _playwright = await Playwright.CreateAsync();
        Assertions.SetDefaultExpectTimeout(Patience);
        // Chromium refuses its sandbox to root.
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium, Args = Environment.UserName == "root" ? ["--no-sandbox"] : [] });
    }

    /// <summary>A browser of its own, in which nobody has signed in yet.</summary>
    /// <param name="other">Another console than that of this system.</param>
    public async Task<ConsoleVisit> VisitAsync(ColorScheme colours = ColorScheme.Light, int width = 1280, Uri? other = null)
    {
        var address = other ?? Address;
        var context = await _browser!.NewContextAsync(new()
        {
            BaseURL = address.ToString(),
            ColorScheme = colours,
            ReducedMotion = ReducedMotion.Reduce,
            ViewportSize = new() { Width = width, Height = 900 },
        });
        context.SetDefaultTimeout(Patience);
        return new ConsoleVisit(context, await context.NewPageAsync(), address);
    }

    /// <summary>Payments cannot reach the payment provider until the answer is disposed of.</summary>
    public IDisposable WithoutPaymentProvider()
    {
        _paymentProvider.Cut();
        return new Mended(_paymentProvider);
    }

    /// <summary>The id that an order of this customer has under this Idempotency-Key, before there is one.</summary>
    public static string OrderIdOf(string customer, string key) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{customer}\n{key}")).AsSpan(0, 16));

    /// <summary>Places an order over the API, and waits until it has come so far.</summary>
    public async Task PlaceAsync(string customer, string key, string sku, string paymentMethod = "pm_card_ok", string until = "shipped")
    {
        using var placed = await Shop.SendAsync(
            HttpMethod.Post, "ordering", "orders", new { customerId = customer, paymentMethod, lines = new[] { new { sku, quantity = 1 } } },
            ("Idempotency-Key", key), Operator);
        var id = (await Shop.ReadAsync(placed, HttpStatusCode.Accepted, HttpStatusCode.Created))["orderId"]!.GetValue<string>();
        Assert.Equal(OrderIdOf(customer, key), id);
        await Until.Async(
            async () =>
            {
                using var read = await Shop.SendAsync(HttpMethod.Get, "ordering", $"orders/{id}", null, Operator);
                return Shop.Status(await Shop.ReadAsync(read, HttpStatusCode.OK));
            },
            status => status == until,
            $"the order to be {until}");
    }

    /// <summary>What axe-core finds wrong, a line for each rule and element.</summary>
    public static async Task<IReadOnlyList<string>> ViolationsAsync(IPage page)
    {
        await page.EvaluateAsync(await File.ReadAllTextAsync(Axe));
        var found = await page.EvaluateAsync<JsonElement>(
            "async () => (await axe.run()).violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html} ${node.failureSummary}`))");
        return [.. found.EnumerateArray().Select(line => line.GetString()!)];
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
        _http.Dispose();
        await _system.DisposeAsync();
        await _paymentProvider.DisposeAsync();
    }

    private sealed class Mended(Cable cable) : IDisposable
    {
        public void Dispose() => cable.Mend();
    }

    private async Task<bool> IsReadyAsync()
    {
        try
        {
            using var answer = await _http.GetAsync(new Uri(Address, "healthz/ready"));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}

/// <summary>Somebody at a browser. What the pages ask of others, and what the browser complains about, is kept.</summary>
public sealed class ConsoleVisit : IAsyncDisposable
{
    private readonly IBrowserContext _context;

    public ConsoleVisit(IBrowserContext context, IPage page, Uri address)
    {
        (_context, Page) = (context, page);
        page.Request += (_, request) =>
        {
            if (new Uri(request.Url) is var asked && asked.Scheme != "data" && asked.Authority != address.Authority)
                AskedElsewhere.Add(request.Url);
        };
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
                Complaints.Add(message.Text);
        };
    }

    public IPage Page { get; }

    public List<string> AskedElsewhere { get; } = [];

    public List<string> Complaints { get; } = [];

    public async Task SignInAsync(string role)
    {
        await Page.GotoAsync("/sign-in");
        await Page.GetByLabel("Name").FillAsync("ann");
        await Page.Locator($"input[value={role}]").CheckAsync();
        await Page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Page.GetByRole(AriaRole.Heading, new() { Name = "Overview" }).WaitForAsync();
    }

    /// <summary>A page, once it takes clicks.</summary>
    public async Task OpenAsync(string path)
    {
        await Page.GotoAsync(path);
        await LiveAsync();
    }

    public Task LiveAsync() => Page.Locator("[data-live]").WaitForAsync();

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();
}
