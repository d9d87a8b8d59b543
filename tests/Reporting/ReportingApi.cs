using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.Reporting.Tests;

/// <summary>The service as it is, over state in memory and the publishers of a <see cref="Journal"/>.</summary>
internal sealed class ReportingApi : WebApplicationFactory<Program>
{
    private readonly EventTypes? _types;
    private readonly IReadOnlyDictionary<string, string> _settings;

    /// <param name="types">Those that the program knows; null for its own.</param>
    public ReportingApi(
        StateInMemory? state = null, Journal? journal = null, EventTypes? types = null, IReadOnlyDictionary<string, string>? settings = null)
    {
        _types = types;
        _settings = settings ?? new Dictionary<string, string>();
        State = state ?? new StateInMemory();
        Journal = journal ?? new Journal();
        Http = CreateClient();
    }

    public StateInMemory State { get; }

    public Journal Journal { get; }

    public HttpClient Http { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Delivers events as the sidecar does, and waits until the logs are read as far as they go now.</summary>
    public async Task DeliverAsync(string topic, IEnumerable<IncomingEvent> events)
    {
        foreach (var (publisher, recorded, _, _) in events)
        {
            var cloudEvent = new
            {
                specversion = "1.0",
                id = recorded.Id,
                source = publisher,
                type = recorded.Type,
                subject = recorded.Stream,
                time = recorded.OccurredAt,
                datacontenttype = "application/json",
                stream = recorded.Stream,
                streamversion = $"{recorded.Version}",
                schemaversion = "1",
                data = recorded.Data,
            };
            var response = await Http.PostAsJsonAsync($"/events/{topic}", cloudEvent, Cancellation);
            Assert.Equal("SUCCESS", (await response.Content.ReadFromJsonAsync<JsonElement>(Cancellation)).GetProperty("status").GetString());
        }

        await EventuallyAsync("/projections", projections => projections.GetProperty("serving").GetProperty("events").GetInt64() >= Journal.All.Count);
    }

    public async Task<JsonElement> GetAsync(string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        var response = await Http.GetAsync(path, Cancellation);
        Assert.Equal(expected, response.StatusCode);
        return await response.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
    }

    /// <summary>Asks until the answer is as it should be.</summary>
    public async Task<JsonElement> EventuallyAsync(string path, Func<JsonElement, bool> isAsExpected)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        JsonElement answer;
        while (!isAsExpected(answer = await GetAsync(path)))
            await timer.WaitForNextTickAsync(Cancellation);
        return answer;
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        // In development the secrets of whoever runs the tests would be read, and with them their signing keys.
        builder.UseEnvironment(Environments.Production);
        builder.UseSetting("Serilog:MinimumLevel:Default", "Fatal");
        builder.UseSetting("Reporting:GatherFor", "00:00:00.001");
        builder.UseSetting("Reporting:KeepRetiredFor", "00:00:00");
        builder.UseSetting("Reporting:CheckEvery", "00:00:00.050");
        builder.UseSetting("Reporting:AwaitOrder", "00:00:00.050");
        foreach (var (name, value) in _settings)
            builder.UseSetting(name, value);
        builder.ConfigureTestServices(services =>
        {
            services.AddSingleton(State.Client);
            services.AddSingleton<IBulkStateReads>(State);
            services.AddSingleton<IPublisherStreams>(Journal);
            services.AddSingleton<IPublisherLogs>(Journal);
            if (_types is not null)
                services.AddSingleton(_types);
        });
    }
}
