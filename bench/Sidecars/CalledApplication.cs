using System.Net;
using DaprOrders.Bench.EventStores;

namespace DaprOrders.Bench.Sidecars;

/// <summary>The application that is called: echoes invocations, answers actors at once, and counts the events that come.</summary>
internal sealed class CalledApplication : IAsyncDisposable
{
    public const string ActorType = "Counter";
    public const string OneByOne = "one-by-one";
    public const string InBulk = "in-bulk";

    private readonly WebApplication _app;
    private long _events;

    private CalledApplication(WebApplication app, int port)
    {
        (_app, Port) = (app, port);
        app.MapGet("/dapr/config", () => new { entities = new[] { ActorType } });
        app.MapGet("/dapr/subscribe", () => new object[]
        {
            new { pubsubname = "pubsub", topic = OneByOne, route = $"/{OneByOne}" },
            new { pubsubname = "pubsub", topic = InBulk, route = $"/{InBulk}", bulkSubscribe = new { enabled = true, maxMessagesCount = 100, maxAwaitDurationMs = 5 } },
        });
        app.MapPost("/echo", (HttpContext context) => context.Request.Body.CopyToAsync(context.Response.Body));
        app.MapPut("/actors/{type}/{id}/method/{method}", () => Results.Ok());
        app.MapDelete("/actors/{type}/{id}", () => Results.Ok());
        app.MapPost($"/{OneByOne}", () => Interlocked.Increment(ref _events));
        app.MapPost($"/{InBulk}", (Bulk bulk) =>
        {
            Interlocked.Add(ref _events, bulk.Entries.Count);
            return new { statuses = bulk.Entries.Select(entry => new { entry.EntryId, status = "SUCCESS" }) };
        });
    }

    public int Port { get; }

    public long Events => Interlocked.Read(ref _events);

    public static async Task<CalledApplication> StartAsync(CancellationToken cancellationToken)
    {
        var port = Listener.FreePort();
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        var app = new CalledApplication(builder.Build(), port);
        await app._app.StartAsync(cancellationToken);
        return app;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    internal sealed record Entry(string EntryId);

    internal sealed record Bulk(IReadOnlyList<Entry> Entries);
}
