using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace DaprOrders.Bench.EventStores;

/// <summary>The application that has subscribed: notes when each event arrived.</summary>
internal sealed class Listener : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<long>> _arrivals = [];
    private readonly WebApplication _app;

    private Listener(WebApplication app)
    {
        _app = app;
        app.MapGet("/dapr/config", () => "{}");
        app.MapPost($"/{Ticks.Topic}", TakeAsync);
    }

    public static async Task<Listener> StartAsync(int port, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        var listener = new Listener(builder.Build());
        await listener._app.StartAsync(cancellationToken);
        return listener;
    }

    public static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    /// <summary>The time stamp (<see cref="Stopwatch"/>) of an event's first arrival, whether it is here already or still to come.</summary>
    public Task<long> ArrivalOf(string eventId) => Arrival(eventId).Task;

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private TaskCompletionSource<long> Arrival(string eventId) =>
        _arrivals.GetOrAdd(eventId, _ => new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously));

    private async Task<IResult> TakeAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var now = Stopwatch.GetTimestamp();
        using var body = await JsonDocument.ParseAsync(request.Body, cancellationToken: cancellationToken);
        var statuses = new List<EntryStatus>();
        foreach (var entry in body.RootElement.GetProperty("entries").EnumerateArray())
        {
            Arrival(entry.GetProperty("event").GetProperty("id").GetString()!).TrySetResult(now);
            statuses.Add(new EntryStatus(entry.GetProperty("entryId").GetString()!, "SUCCESS"));
        }

        return Results.Json(new { statuses });
    }

    private sealed record EntryStatus(string EntryId, string Status);
}
