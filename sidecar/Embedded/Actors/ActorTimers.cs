using System.Collections.Concurrent;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Actors;

/// <summary>A timer as it was registered; the texts are given back to the actor word for word. Data is JSON, empty when there is none.</summary>
internal sealed record TimerRegistration(
    ActorKey Actor, string Name, string DueTime, string Period, string Ttl, string Callback, ReadOnlyMemory<byte> Data);

/// <summary>
/// The timers of one sidecar, in memory (dapr pkg/actors/internal/timers/inmemory). A firing takes a turn of its actor and activates it when
/// need be; the next one is counted from the due time, and starts after the call has ended. A failed call is only logged.
/// </summary>
internal sealed class ActorTimers(Func<ActorCall, CancellationToken, Task<ActorReply>> invoke, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(ActorKey Actor, string Name), Running> _timers = new();
    private readonly CancellationTokenSource _stopping = new();

    private sealed record Running(TimerRegistration Timer)
    {
        public CancellationTokenSource Removed { get; } = new();

        public Task Work { get; set; } = Task.CompletedTask;
    }

    /// <summary>Replaces the timer of the same name.</summary>
    /// <exception cref="FormatException">With dapr's text.</exception>
    public void Register(TimerRegistration timer)
    {
        var schedule = ActorSchedule.OfTimer(timer.Actor, timer.Name, timer.DueTime, timer.Period, timer.Ttl, time.GetUtcNow());
        var running = new Running(timer);
        _timers.AddOrUpdate((timer.Actor, timer.Name), running, (_, old) =>
        {
            old.Removed.Cancel();
            return running;
        });
        running.Work = Task.Run(() => RunAsync(running, schedule));
    }

    public void Unregister(ActorKey actor, string name)
    {
        if (_timers.TryRemove((actor, name), out var running))
            running.Removed.Cancel();
    }

    /// <summary>A call that is under way is given up.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        var timers = _timers.Values.ToArray();
        foreach (var timer in timers)
            await timer.Removed.CancelAsync();
        await Task.WhenAll(timers.Select(timer => timer.Work));
        _stopping.Dispose();
    }

    private async Task RunAsync(Running running, ActorSchedule first)
    {
        try
        {
            // At its end it fires no more, which a reminder does.
            for (var schedule = first; schedule is not null && !(schedule.Next >= schedule.Expires); schedule = schedule.AfterFiring())
            {
                await time.WaitUntilAsync(schedule.Next, running.Removed.Token);
                await FireAsync(running.Timer);
                running.Removed.Token.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException)
        {
            // Unregistered, replaced, or the sidecar ends.
        }
        catch (Exception e)
        {
            logger.LogError(e, "Timer {Timer} of actor {ActorType} {ActorId} fires no more", running.Timer.Name, running.Timer.Actor.Type, running.Timer.Actor.Id);
        }
        finally
        {
            _timers.TryRemove(new((running.Timer.Actor, running.Timer.Name), running));
        }
    }

    /// <summary>Removing a timer does not break off its call: as a rule it is the call that removes it.</summary>
    private async Task FireAsync(TimerRegistration timer)
    {
        try
        {
            using var reply = await invoke(
                new ActorCall
                {
                    Actor = timer.Actor,
                    Method = "timer/" + timer.Name,
                    Body = ActorCallbackBody.OfTimer(timer.Callback, timer.Data, timer.DueTime, timer.Period),
                },
                _stopping.Token);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            logger.LogWarning("Timer {Timer} of actor {ActorType} {ActorId} failed: {Reason}", timer.Name, timer.Actor.Type, timer.Actor.Id, e.Message);
        }
    }
}
