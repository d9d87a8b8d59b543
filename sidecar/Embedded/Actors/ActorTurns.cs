namespace EmbeddedSidecar.Actors;

/// <summary>The right to run an actor: held by one call, or by the calls of one reentrancy id. Given back by <see cref="ActorTurns.Leave"/>.</summary>
internal sealed class Turn(string? reentrancyId)
{
    public string? ReentrancyId { get; } = reentrancyId;

    /// <summary>How many calls share the turn.</summary>
    public int Calls { get; set; } = 1;

    /// <summary>Null when the turn began without waiting.</summary>
    public TaskCompletionSource? Started { get; set; }

    public LinkedListNode<Turn>? Place { get; set; }
}

/// <summary>The actor was deactivated, or moved to another host, before the call had its turn: look it up again.</summary>
internal sealed class ActorClosedException : Exception;

/// <summary>More nested calls than <c>reentrancy.maxStackDepth</c>.</summary>
internal sealed class ActorStackDepthException : Exception;

/// <summary>
/// The turns of one actor, first come first served (dapr pkg/actors/targets/app/lock). A call that carries the reentrancy id of the
/// running turn, or of a waiting one, joins it.
/// </summary>
internal sealed class ActorTurns(int maxStackDepth)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Turn> _waiting = new();
    private Turn? _running;
    private bool _closed;
    private TaskCompletionSource? _drained;

    /// <summary>A null id never joins another call.</summary>
    /// <exception cref="ActorClosedException"/>
    /// <exception cref="ActorStackDepthException"/>
    public ValueTask<Turn> EnterAsync(string? reentrancyId, CancellationToken cancellationToken)
    {
        Turn turn;
        lock (_gate)
        {
            if (reentrancyId is not null && Find(reentrancyId) is { } same)
            {
                if (same.Calls >= maxStackDepth)
                    throw new ActorStackDepthException();
                same.Calls++;
                if (same == _running)
                    return new(same);
                turn = same;
            }
            else
            {
                if (_closed)
                    throw new ActorClosedException();
                turn = new Turn(reentrancyId);
                if (_running is null)
                {
                    _running = turn;
                    return new(turn);
                }
                turn.Started = new(TaskCreationOptions.RunContinuationsAsynchronously);
                turn.Place = _waiting.AddLast(turn);
            }
        }
        return WaitAsync(turn, cancellationToken);
    }

    public void Leave(Turn turn)
    {
        TaskCompletionSource? next = null;
        lock (_gate)
        {
            if (--turn.Calls > 0)
                return;
            if (turn != _running)
            {
                // A waiting call that gave up. One that Close turned away has no place any more.
                if (turn.Place?.List is not null)
                    _waiting.Remove(turn.Place);
                return;
            }
            _running = _waiting.First?.Value;
            if (_running is not null)
            {
                _waiting.RemoveFirst();
                next = _running.Started;
            }
            else if (_closed)
            {
                next = _drained;
            }
        }
        next?.SetResult();
    }

    /// <summary>Closes only when nobody runs or waits.</summary>
    public bool TryClose()
    {
        lock (_gate)
        {
            if (_closed || _running is not null)
                return false;
            _closed = true;
            return true;
        }
    }

    /// <summary>Turns away who waits and who comes. The answer ends when the running turn does; null when it was closed before.</summary>
    public Task? Close()
    {
        lock (_gate)
        {
            if (_closed)
                return null;
            _closed = true;
            foreach (var turn in _waiting)
                turn.Started!.SetException(new ActorClosedException());
            _waiting.Clear();
            if (_running is null)
                return Task.CompletedTask;
            _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
            return _drained.Task;
        }
    }

    private async ValueTask<Turn> WaitAsync(Turn turn, CancellationToken cancellationToken)
    {
        try
        {
            await turn.Started!.Task.WaitAsync(cancellationToken);
            return turn;
        }
        catch (Exception e) when (e is OperationCanceledException or ActorClosedException)
        {
            Leave(turn);
            throw;
        }
    }

    private Turn? Find(string reentrancyId)
    {
        if (_running?.ReentrancyId == reentrancyId)
            return _running;
        foreach (var turn in _waiting)
        {
            if (turn.ReentrancyId == reentrancyId)
                return turn;
        }
        return null;
    }
}
