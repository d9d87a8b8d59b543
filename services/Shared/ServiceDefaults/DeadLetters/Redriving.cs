using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>Sends dead letters through their handlers once more.</summary>
internal sealed class Redriving(DeadLetterStore letters, TopicRegistry topics, TimeProvider time)
{
    /// <summary>A handler that hangs is a failure too.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>Null when it was handled, and is no dead letter any more; otherwise the letter with its new failure.</summary>
    /// <exception cref="Dapr.DaprException">The store does not say or take what became of it.</exception>
    public async Task<DeadLetter?> TryAsync(DeadLetter letter, CancellationToken cancellationToken)
    {
        try
        {
            using var limit = new CancellationTokenSource(Longest, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            await HandleAsync(letter, either.Token).WaitAsync(either.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return await letters.FailedAgainAsync(
                letter.Id,
                exception is OperationCanceledException ? new TimeoutException($"The handler did not end within {Longest.TotalSeconds} s.", exception) : exception,
                cancellationToken);
        }

        await letters.RemoveAsync(letter, cancellationToken);
        return null;
    }

    private async Task HandleAsync(DeadLetter letter, CancellationToken cancellationToken)
    {
        var topic = topics.Find(letter.Topic) ?? throw new UnreadableEventException(
            $"The message names the topic '{letter.Topic}'; this service handles {string.Join(", ", topics.Subscribed)}.");
        await topic.RedriveAsync(letter.Message, cancellationToken);
    }
}
