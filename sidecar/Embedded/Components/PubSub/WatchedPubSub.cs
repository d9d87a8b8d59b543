
namespace EmbeddedSidecar.Components.PubSub;

/// <summary>A broker whose every publication and delivery is shown first; what is thrown there is a failure of the broker, or of the delivery.</summary>
internal class WatchedPubSub(IPubSub broker, string component, string appId, BeforeSidecarCall before) : IPubSub
{
    public IReadOnlyList<string> Capabilities => broker.Capabilities;

    public int AtOnce => broker.AtOnce;

    public static IPubSub Over(IPubSub broker, string component, string appId, BeforeSidecarCall before) =>
        broker is IBulkPubSub bulk ? new WatchedBulkPubSub(bulk, component, appId, before) : new WatchedPubSub(broker, component, appId, before);

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        await ShowAsync("publish", topic, [message], cancellationToken);
        await broker.PublishAsync(topic, message, cancellationToken);
    }

    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken)
    {
        try
        {
            await ShowAsync("bulk_publish", topic, messages, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return [.. messages.Select(_ => e)];
        }

        return await broker.PublishManyAsync(topic, messages, cancellationToken);
    }

    public Task RegisterAsync(TopicSubscription subscription, CancellationToken cancellationToken) => broker.RegisterAsync(subscription, cancellationToken);

    public Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription, Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler, CancellationToken cancellationToken) =>
        broker.SubscribeAsync(
            subscription,
            async (message, stopping) =>
            {
                try
                {
                    await ShowAsync("deliver", subscription.Topic, [message], stopping);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    return DeliveryResult.Failed;
                }

                return await handler(message, stopping);
            },
            cancellationToken);

    public ValueTask DisposeAsync() => broker.DisposeAsync();

    private protected ValueTask ShowAsync(string operation, string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken) =>
        before(new SidecarCall(appId, component, operation, [topic], [.. messages.Select(message => message.Data)]), cancellationToken);

    private sealed class WatchedBulkPubSub(IBulkPubSub broker, string component, string appId, BeforeSidecarCall before)
        : WatchedPubSub(broker, component, appId, before), IBulkPubSub
    {
        public Task<IAsyncDisposable> SubscribeManyAsync(
            TopicSubscription subscription, int maxMessages, Func<IMessageBatch, CancellationToken, Task> handler, CancellationToken cancellationToken) =>
            broker.SubscribeManyAsync(
                subscription,
                maxMessages,
                async (batch, stopping) =>
                {
                    try
                    {
                        await ShowAsync("bulk_deliver", subscription.Topic, batch.Messages, stopping);
                    }
                    catch (Exception e) when (e is not OperationCanceledException)
                    {
                        // Not finished: all of them have failed.
                        return;
                    }

                    await handler(batch, stopping);
                },
                cancellationToken);
    }
}
