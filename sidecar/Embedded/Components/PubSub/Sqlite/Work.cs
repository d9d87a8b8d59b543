namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>What the writer is asked for; whoever asks hears when it is on disk.</summary>
internal abstract class Work(int size)
{
    private readonly TaskCompletionSource<Exception?> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Messages, as far as the size of a commit goes; 0 where nobody waits for the disk.</summary>
    public int Size { get; } = size;

    /// <summary>Null, or why it was not written.</summary>
    public Task<Exception?> Written => _written.Task;

    public void Complete(Exception? failure) => _written.TrySetResult(failure);
}

internal sealed class Publication(string topic, IReadOnlyList<BrokerMessage> messages) : Work(messages.Count)
{
    public string Topic { get; } = topic;

    public IReadOnlyList<BrokerMessage> Messages { get; } = messages;
}

internal sealed class Registration(TopicSubscription subscription) : Work(1)
{
    public TopicSubscription Subscription { get; } = subscription;
}

/// <summary>Only wakes the writer: it saves what consumers have finished with every commit.</summary>
internal sealed class Acknowledgements() : Work(0);
