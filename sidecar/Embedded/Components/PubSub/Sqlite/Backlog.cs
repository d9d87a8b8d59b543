using System.Diagnostics.CodeAnalysis;

namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>
/// What a consumer has not begun with, in order. It comes from memory as it is committed, as far as there is room; a consumer that has fallen behind, or just
/// started, reads it from the store.
/// </summary>
internal sealed class Backlog(MessageStore store, int topic, long position, long committed)
{
    private const int ReadAtOnce = 500;
    private const int MaxBytes = 16 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<StoredMessage> _ready = new();
    private int _bytes;
    private long _heldUpTo = position;
    private long _committed = committed;

    /// <summary>The next one is on disk alone.</summary>
    public bool MustRead
    {
        get
        {
            lock (_lock)
                return _ready.Count == 0 && IsBehind;
        }
    }

    private bool IsBehind => _heldUpTo < _committed;

    /// <summary>These were committed just now.</summary>
    /// <param name="messages">All of one commit.</param>
    /// <param name="hold">False: nobody takes them, so they stay on disk.</param>
    public void Append(IReadOnlyList<StoredMessage> messages, bool hold)
    {
        lock (_lock)
        {
            var isInStep = hold && !IsBehind;
            _committed = messages[^1].Place;
            // Some may be held already: a reading saw them in the store before they were told here.
            foreach (var message in messages)
            {
                if (!isInStep || _bytes >= MaxBytes)
                    break;
                if (message.Place > _heldUpTo)
                    Hold(message);
            }
        }
    }

    public bool TryTake([NotNullWhen(true)] out StoredMessage? message)
    {
        lock (_lock)
        {
            if (!_ready.TryDequeue(out message))
                return false;
            _bytes -= message.Message.Data.Length;
            return true;
        }
    }

    /// <summary>By one at a time, when it must be: then nobody else adds to what is held.</summary>
    public void Read()
    {
        long heldUpTo, committed;
        lock (_lock)
            (heldUpTo, committed) = (_heldUpTo, _committed);

        var messages = store.ReadAfter(topic, heldUpTo, ReadAtOnce);
        lock (_lock)
        {
            foreach (var message in messages)
                Hold(message);
            // Places of a commit that failed are never filled.
            if (messages.Count == 0)
                _heldUpTo = committed;
        }
    }

    private void Hold(StoredMessage message)
    {
        _ready.Enqueue(message);
        _bytes += message.Message.Data.Length;
        _heldUpTo = message.Place;
    }
}
