using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Streams;

/// <summary>
/// Commands of this instance on one stream take turns, in the order in which they came: side by side, all but one would decide on a tip that is
/// replaced before they commit.
/// </summary>
internal sealed class StreamTurns(TimeSpan patience, TimeProvider time)
{
    // A stream is here while somebody has the turn; null until somebody waits.
    private readonly Dictionary<string, Queue<TaskCompletionSource<bool>>?> _waiting = [];

    /// <exception cref="EventStoreUnavailableException">The turn did not come in time.</exception>
    public async Task<Turn> TakeAsync(string stream, CancellationToken cancellationToken)
    {
        TaskCompletionSource<bool> turn;
        lock (_waiting)
        {
            if (_waiting.TryAdd(stream, null))
            {
                return new Turn(this, stream);
            }

            turn = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            (_waiting[stream] ??= new Queue<TaskCompletionSource<bool>>()).Enqueue(turn);
        }

        await turn.WithinAsync(
            patience, time, () => $"Stream {stream}: the commands before this one were not done within {patience}. Try again later.", cancellationToken);
        return new Turn(this, stream);
    }

    private void End(string stream)
    {
        lock (_waiting)
        {
            var waiting = _waiting[stream];
            while (waiting is { Count: > 0 })
            {
                // One that has given up is passed over.
                if (waiting.Dequeue().TrySetResult(true))
                {
                    return;
                }
            }

            _waiting.Remove(stream);
        }
    }

    /// <summary>Ends when it is disposed of.</summary>
    public readonly struct Turn(StreamTurns turns, string stream) : IDisposable
    {
        public void Dispose() => turns.End(stream);
    }
}
