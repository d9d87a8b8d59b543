using Microsoft.AspNetCore.Http.Features;

namespace DaprOrders.Reporting.Updates;

/// <summary>Sends one client its updates as they come, until it goes, is too slow, or has the last one.</summary>
/// <param name="beginning">Is sent at once, so that the client has its answer.</param>
/// <param name="frameOf">What the client is sent of an update.</param>
/// <param name="isLast">Whether nothing comes after it.</param>
internal sealed class UpdateStream(
    UpdateSubscription updates, byte[] beginning, Func<SentUpdate, byte[]> frameOf, Predicate<OrderUpdateView> isLast) : IResult
{
    public async Task ExecuteAsync(HttpContext context)
    {
        using var subscribed = updates;
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, updates.Dropped);
        context.Response.ContentType = ServerSentEvents.ContentType;
        context.Response.Headers.CacheControl = "no-cache, no-store";
        // What nginx is told by: pass on what comes.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        try
        {
            await SendAsync(context.Response, ended.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // Who does not read would not read the end either.
            if (!updates.Updates.Completion.IsCompleted)
                context.Abort();
        }
    }

    private async Task SendAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        await response.Body.WriteAsync(beginning, cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
        while (await updates.Updates.WaitToReadAsync(cancellationToken))
        {
            var isThrough = false;
            while (!isThrough && updates.Updates.TryRead(out var update))
            {
                await response.BodyWriter.WriteAsync(update is null ? ServerSentEvents.Comment : frameOf(update), cancellationToken);
                isThrough = update is not null && isLast(update.Update.View);
            }

            if (isThrough)
                return;
        }
    }
}
