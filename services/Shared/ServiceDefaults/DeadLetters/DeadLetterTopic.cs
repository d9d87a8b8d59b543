using System.Text.Json;
using Dapr;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>
/// Takes messages from the service's dead-letter topic. There is none behind it, and brokers drop what fails there (redis) or nearly so:
/// the answer waits until the letter is kept. While the store is away the sidecar's attempts run into their timeouts, half a minute
/// altogether, and long before their end the app health check has stopped deliveries; what was on its way then stays with the broker.
/// </summary>
internal sealed class DeadLetterTopic(
    DeadLetterStore letters,
    FailureLog failures,
    TopicRegistry topics,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<DeadLetterTopic> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Of the time that an attempt has (resiliency.yaml), so that the letter can still be kept.</summary>
    private static readonly TimeSpan LongestTry = TimeSpan.FromSeconds(3);

    public async Task<IReadOnlyList<DeliveryStatus>> ReceiveAsync(IReadOnlyList<JsonElement> messages, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping, cancellationToken);
        try
        {
            foreach (var message in messages)
                await ReceiveAsync(message, either.Token);
            return new DeliveryStatus[messages.Count];
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return [.. messages.Select(_ => DeliveryStatus.Retry)];
        }
    }

    private async Task ReceiveAsync(JsonElement message, CancellationToken cancellationToken)
    {
        for (var isTold = false; ; isTold = true)
        {
            try
            {
                if (!await IsHandledNowAsync(message, cancellationToken))
                {
                    var letter = await letters.KeepAsync(message, IsGenuine(message), cancellationToken);
                    logger.LogError(
                        "Dead letter {DeadLetterId}: event {EventId} of topic {Topic} after {Attempts} attempts: {Error}",
                        letter.Id, letter.EventId, letter.Topic, letter.Attempts, letter.Error);
                }

                return;
            }
            catch (DaprException exception)
            {
                if (!isTold)
                    logger.LogWarning(exception, "Dead letter of event {EventId} cannot be kept now; it waits for the store", CloudEvents.Text(message, "id"));
                await Task.Delay(Pause, time, cancellationToken);
            }
        }
    }

    private bool IsGenuine(JsonElement message) => topics.Find(CloudEvents.Text(message, "topic"))?.CanRead(message) == true;

    /// <summary>
    /// Dead letters are for messages that are wrong. What failed by bad times, or never reached its handler (a service was away or was
    /// killed), gets one more try now that they may be over: handlers take an event twice, so one that the log has brought meanwhile is none.
    /// </summary>
    private async Task<bool> IsHandledNowAsync(JsonElement message, CancellationToken cancellationToken)
    {
        if (CloudEvents.Text(message, "id") is not { } eventId || topics.Find(CloudEvents.Text(message, "topic")) is not { } topic)
            return false;

        // What was to be read is in the publisher's log, or came from there already.
        if (topics.IsWakeUp(topic))
            return true;
        if (topic.IsGenuine(message) && await letters.IsReplacedAsync(eventId, cancellationToken))
            return true;
        var failure = await failures.FindAsync(eventId, cancellationToken);
        if (failure is { IsPassing: false })
            return false;

        using var limit = new CancellationTokenSource(LongestTry, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await topic.RedriveAsync(message, either.Token).WaitAsync(either.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            await failures.RecordAsync(eventId, exception);
            return false;
        }

        if (await letters.FindAsync(DeadLetterStore.IdOf(eventId), cancellationToken) is { } letter)
            await letters.RemoveAsync(letter, FailureOutcomes.Handled, cancellationToken);
        else
            await failures.HandledAsync(eventId, hasFailed: failure is not null);
        logger.LogInformation("Event {EventId} of topic {Topic} came as a dead letter and was handled after all", eventId, topic.Name);
        return true;
    }
}
