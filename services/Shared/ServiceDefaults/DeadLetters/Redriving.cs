using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>Sends dead letters through their handlers once more. An act that has begun is ended although its operator does not wait for it any more.</summary>
internal sealed class Redriving(
    DeadLetterStore letters, OperatorActs acts, TopicRegistry topics, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<Redriving> logger)
{
    /// <summary>A handler that hangs is a failure too.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>One of many; that they are redriven, by which job, is on record.</summary>
    /// <returns>Null when it was handled, and is no dead letter any more; otherwise why not.</returns>
    /// <exception cref="Dapr.DaprException">The store does not say or take what became of it.</exception>
    public async Task<string?> TryAsync(string letterId, string jobId, CancellationToken cancellationToken)
    {
        // Another instance may have handled it meanwhile.
        if (await letters.TakeAsync(letterId, jobId, cancellationToken) is not { } letter)
            return null;
        if (letter.Taken!.By != jobId)
            return $"The act {letter.Taken.By} is under way about it.";
        var failure = await FailureOfAsync(token => HandleAsync(letter, token), cancellationToken);
        await SettleAsync(letter, failure, cancellationToken);
        return Describe(failure);
    }

    /// <summary>One that was taken by itself, with an entry in the record.</summary>
    /// <inheritdoc cref="TryAsync(string, string, CancellationToken)"/>
    public async Task<string?> TryAsync(DeadLetter letter, string? by, CancellationToken cancellationToken)
    {
        var id = letter.Taken!.By;
        await acts.BeginAsync(id, ActKinds.Redrive, letter, by, null, cancellationToken);
        var stopping = lifetime.ApplicationStopping;
        var failure = await FailureOfAsync(token => HandleAsync(letter, token), stopping);
        await acts.EndAsync(id, Describe(failure), effect: null, stopping);
        await SettleAsync(letter, failure, stopping);
        return Describe(failure);
    }

    /// <summary>As an operator has edited it. When that fails, the letter stays as it was: of the original it says nothing.</summary>
    /// <inheritdoc cref="TryAsync(string, string, CancellationToken)"/>
    public async Task<string?> TryAsync(DeadLetter letter, string actId, EditedLetter edited, string? by, string reason, CancellationToken cancellationToken)
    {
        await acts.KeepEditAsync(actId, new EditedMessage(edited.Original, edited.Message), cancellationToken);
        await acts.BeginAsync(actId, ActKinds.EditedRedrive, letter, by, reason, cancellationToken);
        var stopping = lifetime.ApplicationStopping;
        var failure = await FailureOfAsync(token => edited.Topic.RedriveAsync(edited.Event, CloudEvents.Text(edited.Original, "traceparent"), token), stopping);
        if (failure is null)
            await letters.ReplacedAsync(letter, edited.Event.Id, stopping);
        await acts.EndAsync(actId, Describe(failure), failure is null ? ActEffects.Of(edited.Event.Outcome!) : null, stopping);
        if (failure is not null)
        {
            await letters.LetGoAsync(letter, stopping);
            return Describe(failure);
        }

        await letters.RemoveAsync(letter, FailureOutcomes.Handled, stopping);
        logger.LogWarning("Dead letter {DeadLetterId}, event {EventId}, was handled as an operator had edited it, as {EditedEventId}", letter.Id, letter.EventId, edited.Event.Id);
        return null;
    }

    private async Task SettleAsync(DeadLetter letter, Exception? failure, CancellationToken cancellationToken)
    {
        if (failure is null)
            await letters.RemoveAsync(letter, FailureOutcomes.Handled, cancellationToken);
        else
            await letters.FailedAgainAsync(letter.Id, failure, cancellationToken);
    }

    private async Task<Exception?> FailureOfAsync(Func<CancellationToken, Task> handle, CancellationToken cancellationToken)
    {
        try
        {
            using var limit = new CancellationTokenSource(Longest, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            await handle(either.Token).WaitAsync(either.Token);
            return null;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return exception is OperationCanceledException ? new TimeoutException($"The handler did not end within {Longest.TotalSeconds} s.", exception) : exception;
        }
    }

    private async Task HandleAsync(DeadLetter letter, CancellationToken cancellationToken)
    {
        var topic = topics.Find(letter.Topic) ?? throw new UnreadableEventException(
            $"The message names the topic '{letter.Topic}'; this service handles {string.Join(", ", topics.Subscribed)}.");
        if (await letters.FindMessageAsync(letter, cancellationToken) is not { } message)
        {
            // Another instance may have handled it meanwhile.
            if (await letters.FindAsync(letter.Id, cancellationToken) is null)
                return;
            throw new UnreadableEventException("Its message is lost. The event is in its publisher's log; discard the letter.");
        }

        // Whoever handled an edit of it may have died before its letter went.
        if (letter.EventId is { } eventId && topic.IsGenuine(message) && await letters.IsReplacedAsync(eventId, cancellationToken))
            return;
        await topic.RedriveAsync(message, cancellationToken);
    }

    private static string? Describe(Exception? failure) => failure is null ? null : FailureLog.Describe(failure);
}
