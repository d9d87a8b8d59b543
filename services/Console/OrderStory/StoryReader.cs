using System.Net;
using System.Text.Json;
using DaprOrders.Console.Calling;
using DaprOrders.ServiceDefaults.Errors;

namespace DaprOrders.Console.OrderStory;

/// <summary>Everything that belongs to an order, from the services that have it.</summary>
public sealed class StoryReader(ServicesClient services)
{
    public const string Order = "order";

    private const int MostEvents = 200;

    /// <summary>Of a stream; those of an order have fewer.</summary>
    private const int EventsAskedFor = 12;

    /// <summary>Whose stream of which name.</summary>
    public static IReadOnlyList<(string Service, string Part)> Streams { get; } =
        [(Apps.Ordering, Order), (Apps.Inventory, "reservation"), (Apps.Payments, "payment"), (Apps.Shipping, "shipment")];

    public async Task<Answer<Story>> ReadAsync(string orderId, CancellationToken cancellationToken)
    {
        // A part of an address that a sidecar reads otherwise would ask for something else.
        if (!FieldErrors.IsId(orderId))
            return new(null, new(Apps.Ordering, HttpStatusCode.NotFound, $"“{orderId}” is no id of an order."));
        var asked = services.GetAsync<OrderNow>(Apps.Ordering, $"orders/{orderId}", cancellationToken);
        var streams = Task.WhenAll(Streams.Select(async stream =>
            (stream, Read: await services.GetAsync<IReadOnlyList<RecordedEvent>>(stream.Service, $"event-log/streams/{stream.Part}-{orderId}?limit={MostEvents}", cancellationToken))));
        var failed = ReadFailedAsync(orderId, 1, cancellationToken);
        var parking = Task.WhenAll(Apps.Publishers.Select(app => services.GetAsync<ParkedEvents>(app, "event-log/parked", cancellationToken)));
        var now = await asked;
        var read = await streams;
        var parked = await parking;
        var found = await failed;
        // There is none; or Ordering is away, and the others know nothing of it either.
        if (!now.IsHere && (now.Failure.IsMissing || now.Failure.IsRefused || read.All(of => of.Read.Value is null or { Count: 0 })))
            return new(null, now.Failure);
        var longest = read.Where(of => of.Read.IsHere).SelectMany(of => of.Read.Value!).Select(e => e.Version).DefaultIfEmpty().Max();
        for (var from = 1 + EventsAskedFor; from <= longest; from += EventsAskedFor)
            found = [.. found, .. await ReadFailedAsync(orderId, from, cancellationToken)];

        var awaited = now.Value is { } order ? ReadAwaitedAsync(order.Status, cancellationToken) : Task.FromResult<AwaitedService?>(null);
        var states = await Task.WhenAll(Enumerable.Range(1, (int)(now.Value?.Version ?? 0)).Select(version =>
            services.GetAsync<StateBox>(Apps.Ordering, $"orders/{orderId}?version={version}", cancellationToken)));
        IReadOnlyList<StoryFailure> failures = [.. found.Where(of => of.Read.IsHere).SelectMany(of => of.Read.Value!.Failures.Select(e => new StoryFailure(of.App, e)))];
        var events = Story.Arrange(read.Where(of => of.Read.IsHere).SelectMany(of => of.Read.Value!.Select(e => (of.stream.Service, of.stream.Part, e))));
        return new(new Story(
            now.Value,
            Story.WithTroubles(events, failures, [.. parked.SelectMany(of => of.Value?.Events ?? [])]),
            [.. states.TakeWhile(state => state.IsHere).Select(state => state.Value!.ToJson())],
            failures,
            [.. read.Select(of => of.Read.Failure).Prepend(now.Failure).Concat(found.Select(of => of.Read.Failure)).Concat(parked.Select(of => of.Failure)).OfType<Failure>().DistinctBy(failure => failure.ToString())],
            await awaited), null);
    }

    /// <summary>Of all services: by the names of the order's streams, so also of one that cannot be read now.</summary>
    private async Task<IReadOnlyList<(string App, Answer<FailedEvents> Read)>> ReadFailedAsync(string id, int from, CancellationToken cancellationToken)
    {
        var path = $"dead-letters/failures?{string.Join('&', Streams.Select(stream => $"stream={stream.Part}-{id}"))}&from={from}&to={from + EventsAskedFor - 1}";
        return await Task.WhenAll(Apps.All.Select(async app => (app, await services.GetAsync<FailedEvents>(app, path, cancellationToken))));
    }

    /// <summary>That a service does not answer at all is among the failures.</summary>
    private async Task<AwaitedService?> ReadAwaitedAsync(string status, CancellationToken cancellationToken) =>
        OrderStatuses.WaitsFor(status) is { } service && await services.GetHealthAsync(service, cancellationToken) is { Value: { IsWell: false } health }
            ? new(service, health.Status, health.Reasons)
            : null;

    /// <summary>An order's state as it came, whatever fields it has.</summary>
    private sealed class StateBox
    {
        [System.Text.Json.Serialization.JsonExtensionData]
        public Dictionary<string, JsonElement> Fields { get; set; } = [];

        public JsonElement ToJson() => JsonSerializer.SerializeToElement(Fields);
    }
}
