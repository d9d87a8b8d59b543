using System.Net;
using DaprOrders.EventSourcing.Tests.Store;
using DaprOrders.ServiceDefaults;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.EventSourcing.Tests.Conformance;

/// <summary>What is measured is the memory of the process, which other tests use too.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public static class MemoryOfTheProcess
{
    public const string Name = "Memory of the process";
}

/// <summary>A service whose real store cannot be reached: what its clients are told, what it keeps in memory, and that it goes on afterwards.</summary>
[Collection(MemoryOfTheProcess.Name)]
public sealed class StoreAwayTests(StoreServers servers) : IClassFixture<StoreServers>
{
    private const int RequestsAtOnce = 100;
    private const int Rounds = 20;
    private const int RoundsOfWarmUp = 5;
    private const long MayGrowBytes = 16 * 1024 * 1024;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("redis", true)]
    [InlineData("redis", false)]
    [InlineData("postgresql", true)]
    [InlineData("postgresql", false)]
    public async Task While_the_store_is_away_every_request_is_told_503_and_memory_stays_flat(string store, bool isCut)
    {
        ServerProgram.Require(StoreServers.Missing(store));
        await using var cable = new Cable(await servers.PortOfAsync(store));
        await using var under = await StoreUnderTest.OpenAsync(store, servers, Cancel, cable);
        await using var service = await StartServiceAsync(under);
        using var http = new HttpClient { BaseAddress = new Uri(service.Urls.First()), Timeout = TimeSpan.FromMinutes(3) };
        await UntilCreatedAsync(http, "before");

        if (isCut)
            cable.Cut();
        else
            cable.HoldUp();
        var memory = 0L;
        for (var round = 0; round < Rounds; round++)
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, RequestsAtOnce).Select(i => (i % 4) switch
            {
                0 => AnswerOf(http.GetAsync($"/ledgers/before", Cancel)),
                1 => AnswerOf(http.PostAsync("/ledgers/before?again=true", null, Cancel)),
                _ => AnswerOf(http.PostAsync($"/ledgers/away-{round}-{i}", null, Cancel)),
            }));
            Assert.All(answers, answer => Assert.Equal((HttpStatusCode.ServiceUnavailable, true), answer));
            if (round == RoundsOfWarmUp)
                memory = GC.GetTotalMemory(forceFullCollection: true);
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - memory, long.MinValue, MayGrowBytes);
        cable.Mend();
        await UntilCreatedAsync(http, "after");
        await AssertIsThereAsync(service, "before");
        await AssertIsThereAsync(service, "after");
    }

    private static async Task<WebApplication> StartServiceAsync(StoreUnderTest under)
    {
        var (httpAddress, grpcAddress) = under.Addresses(0);
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = Environments.Production });
        foreach (var (setting, value) in new Dictionary<string, string>
        {
            ["APP_PORT"] = "0",
            ["DAPR_HTTP_ENDPOINT"] = httpAddress,
            ["DAPR_GRPC_ENDPOINT"] = grpcAddress,
            ["Dapr:StateStore"] = StoreUnderTest.Component,
            ["EventStore:QueueLimit"] = "50",
            ["EventStore:CallTimeout"] = "00:00:00.2",
            ["EventStore:CommitTimeout"] = "00:00:00.3",
            ["Serilog:MinimumLevel:Default"] = "Fatal",
        })
        {
            builder.Configuration[setting] = value;
        }

        builder.AddServiceDefaults("ledgers");
        builder.Services.AddSingleton<IEventPublisher, Nowhere>();
        builder.Services.AddEventStore(types => types.AddFamily<LedgerEvent>());
        var app = builder.Build();
        app.MapServiceDefaults();
        app.MapGet("/ledgers/{id}", async (string id, EventStore events, CancellationToken cancel) =>
            TypedResults.Ok((await events.LoadAsync(CalmStore.Category, id, cancel)).Version));
        app.MapPost("/ledgers/{id}", async (string id, EventStore events, CancellationToken cancel, bool again = false) =>
        {
            await events.HandleAsync(CalmStore.Category, id, _ => new Booked(1, id), new CommandContext(LikelyNew: !again), cancel);
            return TypedResults.Created($"/ledgers/{id}");
        });
        await app.StartAsync(Cancel);
        return app;
    }

    private static async Task<(HttpStatusCode Status, bool SaysWhenToTryAgain)> AnswerOf(Task<HttpResponseMessage> request)
    {
        using var answer = await request;
        return (answer.StatusCode, answer.Headers.RetryAfter is not null);
    }

    private static async Task UntilCreatedAsync(HttpClient http, string id)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromMinutes(3));
        while (await AnswerOf(http.PostAsync($"/ledgers/{id}", null, Cancel)) is not (HttpStatusCode.Created, _))
            limit.Token.ThrowIfCancellationRequested();
    }

    private static async Task AssertIsThereAsync(WebApplication service, string id) =>
        Assert.NotEmpty(await service.Services.GetRequiredService<EventStore>().ReadStreamAsync(CalmStore.Category.StreamOf(id), 0, 1, Cancel));

    private sealed class Nowhere : IEventPublisher
    {
        public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
