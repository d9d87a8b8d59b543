using System.Net;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Orders;

/// <summary>An order has a status now, as Reporting says it.</summary>
public sealed record OrderUpdate(string OrderId, string Status, string? CustomerId, decimal? Total, string? Currency, long Version, DateTimeOffset At);

/// <summary>
/// Reporting's live updates. Null among them: read again, something may have been missed; also when they begin, since they tell what comes from then
/// on. Where Reporting has none, or cannot be reached now, there is nothing but that every two seconds, and the time that it was waited for.
/// </summary>
public sealed class OrderUpdates(ServicesClient services, TimeProvider time, ILogger<OrderUpdates> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan BeginsWithin = TimeSpan.FromSeconds(5);

    /// <summary>Reporting shows every 15 s that it lives.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(40);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public async IAsyncEnumerable<OrderUpdate?> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? position = null;
        while (true)
        {
            using var answer = await TryOpenAsync(position, cancellationToken);
            var isOpen = answer?.StatusCode == HttpStatusCode.OK;
            if (isOpen)
            {
                yield return null;
                await using var body = await answer!.Content.ReadAsStreamAsync(cancellationToken);
                var events = SseParser.Create(new UntilSilent(body, Silence, time)).EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
                while (await TryMoveAsync(events, cancellationToken))
                {
                    position = events.Current.EventId ?? position;
                    if (events.Current.EventType == "order")
                        yield return Read(events.Current);
                    else if (events.Current.EventType == "reset")
                        yield return null;
                }
            }

            await Task.Delay(Pause, time, cancellationToken);
            if (!isOpen)
                yield return null;
        }
    }

    /// <summary>Null where it cannot be read: what it tells is in what is read again.</summary>
    private OrderUpdate? Read(SseItem<string> told)
    {
        try
        {
            return JsonSerializer.Deserialize<OrderUpdate>(told.Data, Json);
        }
        catch (JsonException e)
        {
            logger.LogWarning("The live update {Position} of Reporting cannot be read, orders are read again instead: {Error}", told.EventId, e.Message);
            return null;
        }
    }

    private async Task<HttpResponseMessage?> TryOpenAsync(string? position, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(BeginsWithin, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return await services.OpenAsync(Apps.Reporting, "updates", position, either.Token);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>False at the end, also at one that came too early: it is begun anew from the last position.</summary>
    private static async Task<bool> TryMoveAsync(IAsyncEnumerator<SseItem<string>> events, CancellationToken cancellationToken)
    {
        try
        {
            return await events.MoveNextAsync();
        }
        catch (Exception e) when (e is IOException or HttpRequestException && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
