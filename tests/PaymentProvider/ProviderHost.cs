using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.PaymentProvider.Tests;

/// <summary>The provider on a journal of its own and a clock that the test moves.</summary>
public sealed class ProviderHost : WebApplicationFactory<Program>
{
    public FakeTimeProvider Clock { get; } = new();

    public string JournalPath { get; } = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".journal");

    public HttpClient Client => field ??= CreateClient();

    public static object CardOk { get; } = Charge(PaymentMethods.Ok);

    public static object Charge(string paymentMethod, decimal amount = 19.00m, string reference = "order-1") => new { amount, currency = "EUR", paymentMethod, reference };

    public Task<HttpResponseMessage> ChargeAsync(object body, string? key = null) => PostAsync("/charges", body, key);

    public async Task<HttpResponseMessage> PostAsync(string path, object body, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return await Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<LedgerPage> LedgerAsync(string query = "") =>
        (await Client.GetFromJsonAsync<LedgerPage>($"/ledger{query}", TestContext.Current.CancellationToken))!;

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseSetting("PaymentProvider:JournalPath", JournalPath);
        builder.ConfigureServices(services => services.AddSingleton<TimeProvider>(Clock));
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        File.Delete(JournalPath);
    }
}

public static class Answers
{
    public static async Task<JsonElement> JsonAsync(this HttpResponseMessage answer) =>
        JsonElement.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

    public static async Task<string> CodeAsync(this HttpResponseMessage answer)
    {
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var problem = await answer.JsonAsync();
        Assert.Equal((int)answer.StatusCode, problem.GetProperty("status").GetInt32());
        return problem.GetProperty("type").GetString()!.Replace("urn:payment-provider:", "", StringComparison.Ordinal);
    }

    /// <summary>Asks again until it is so; the test's own time limit ends it otherwise.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!await condition())
        {
            await ticks.WaitForNextTickAsync(limit.Token);
        }
    }
}
