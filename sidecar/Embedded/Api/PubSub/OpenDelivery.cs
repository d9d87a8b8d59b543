namespace EmbeddedSidecar.Api.PubSub;

/// <summary>A subscription at a broker, and what gives up the deliveries that run.</summary>
internal sealed class OpenDelivery(IAsyncDisposable subscription, CancellationTokenSource givingUp)
{
    /// <summary>How long running deliveries may go on at the end.</summary>
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    public async Task EndAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(DrainLimit);
        // It knows of the end before anything is cut off, and does not take that for a failure of the application.
        var ending = subscription.DisposeAsync().AsTask();
        await using (limit.Token.Register(givingUp.Cancel))
            await ending;
        givingUp.Dispose();
    }
}
