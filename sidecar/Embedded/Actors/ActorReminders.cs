using System.Collections.Concurrent;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Actors;

/// <summary>A reminder of this name exists, and the request said <c>overwrite: false</c>.</summary>
internal sealed class ReminderExistsException : Exception;

/// <summary>
/// The reminders of one application, shared by its replicas: what the Scheduler service is to a daprd. They fire while some host of their
/// type is there, at least once: what a killed process had not yet ticked off fires again after the restart, a missed period once.
/// </summary>
/// <param name="store">Null when no state store is marked actorStateStore: the reminders then last as long as the process.</param>
/// <param name="invoke">Calls the actor wherever it is.</param>
/// <param name="waitForHost">Ends when the type is hosted.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Tells of failed calls.</param>
internal sealed class ActorReminders(
    ReminderStore? store,
    Func<ActorCall, CancellationToken, Task<ActorReply>> invoke,
    Func<string, CancellationToken, Task> waitForHost,
    TimeProvider time,
    ILogger logger) : IAsyncDisposable
{
    /// <summary>So that thousands that are due at once do not open a connection each.</summary>
    private const int MostCallsAtOnce = 128;

    private readonly ConcurrentDictionary<ReminderKey, Scheduled> _reminders = new();
    private readonly SemaphoreSlim _calls = new(MostCallsAtOnce);
    private readonly SemaphoreSlim _loading = new(1);
    private readonly CancellationTokenSource _stopping = new();
    private bool _loaded;

    private sealed class Scheduled(Reminder reminder)
    {
        /// <summary>Changed only under <see cref="Gate"/>, together with the store.</summary>
        public Reminder Reminder { get; set; } = reminder;

        public SemaphoreSlim Gate { get; } = new(1);

        /// <summary>Cancelled when the reminder is deleted or replaced.</summary>
        public CancellationTokenSource Removed { get; } = new();

        public Task Work { get; set; } = Task.CompletedTask;
    }

    /// <summary>Reads what the store kept; once, however many replicas start.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _loading.WaitAsync(cancellationToken);
        try
        {
            if (_loaded || store is null)
                return;
            foreach (var reminder in await store.LoadAsync(cancellationToken))
                Schedule(reminder with { Schedule = CatchUp(reminder.Schedule) });
            _loaded = true;
        }
        finally
        {
            _loading.Release();
        }
    }

    public bool IsKeptIn(IStateStore? other) => ReferenceEquals(store?.Store, other);

    public Reminder? Find(ReminderKey key) => _reminders.TryGetValue(key, out var scheduled) ? scheduled.Reminder : null;

    /// <param name="type">The type of their actors.</param>
    /// <param name="actorId">Null: all actors of the type.</param>
    public IReadOnlyList<Reminder> List(string type, string? actorId) =>
        [.. _reminders.Values.Select(each => each.Reminder)
            .Where(each => each.Key.Actor.Type == type && (actorId is null || each.Key.Actor.Id == actorId))
            .OrderBy(each => each.Key.Actor.Id, StringComparer.Ordinal).ThenBy(each => each.Key.Name, StringComparer.Ordinal)];

    /// <summary>Is durable when the task ends.</summary>
    /// <exception cref="ReminderExistsException"/>
    public async Task CreateAsync(Reminder reminder, bool overwrite, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_reminders.TryGetValue(reminder.Key, out var old))
            {
                if (!overwrite)
                    throw new ReminderExistsException();
                await DeleteAsync(old, keepInStore: true, cancellationToken);
            }
            var scheduled = new Scheduled(reminder);
            await scheduled.Gate.WaitAsync(cancellationToken);
            if (!_reminders.TryAdd(reminder.Key, scheduled))
                continue;
            try
            {
                if (store is not null)
                    await store.SaveAsync(reminder, cancellationToken);
                Run(scheduled);
                return;
            }
            catch
            {
                _reminders.TryRemove(new(reminder.Key, scheduled));
                throw;
            }
            finally
            {
                scheduled.Gate.Release();
            }
        }
    }

    /// <summary>Deleting what is not there is fine.</summary>
    public async Task DeleteAsync(ReminderKey key, CancellationToken cancellationToken)
    {
        if (_reminders.TryGetValue(key, out var scheduled))
            await DeleteAsync(scheduled, keepInStore: false, cancellationToken);
    }

    /// <summary>Waits for the calls that are under way to be given up.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        var all = _reminders.Values.ToArray();
        foreach (var scheduled in all)
            await scheduled.Removed.CancelAsync();
        await Task.WhenAll(all.Select(scheduled => scheduled.Work));
        _stopping.Dispose();
    }

    private async Task DeleteAsync(Scheduled scheduled, bool keepInStore, CancellationToken cancellationToken)
    {
        await scheduled.Gate.WaitAsync(cancellationToken);
        try
        {
            if (store is not null && !keepInStore && !scheduled.Removed.IsCancellationRequested)
                await store.RemoveAsync(scheduled.Reminder.Key, cancellationToken);
            await scheduled.Removed.CancelAsync();
            _reminders.TryRemove(new(scheduled.Reminder.Key, scheduled));
        }
        finally
        {
            scheduled.Gate.Release();
        }
    }

    private void Schedule(Reminder reminder)
    {
        var scheduled = new Scheduled(reminder);
        if (_reminders.TryAdd(reminder.Key, scheduled))
            Run(scheduled);
    }

    private void Run(Scheduled scheduled) => scheduled.Work = Task.Run(() => RunAsync(scheduled));

    private async Task RunAsync(Scheduled scheduled)
    {
        var removed = scheduled.Removed.Token;
        try
        {
            var more = true;
            while (more)
            {
                await time.WaitUntilAsync(scheduled.Reminder.Schedule.Next, removed);
                await waitForHost(scheduled.Reminder.Key.Actor.Type, removed);
                await FireAsync(scheduled.Reminder, removed);
                more = await TickOffAsync(scheduled);
            }
        }
        catch (OperationCanceledException)
        {
            // Deleted, replaced, or the process ends.
        }
        catch (Exception e)
        {
            logger.LogError(e, "Reminder {Reminder} of actor {ActorType} {ActorId} fires no more until the next start",
                scheduled.Reminder.Key.Name, scheduled.Reminder.Key.Actor.Type, scheduled.Reminder.Key.Actor.Id);
        }
    }

    private async Task FireAsync(Reminder reminder, CancellationToken removed)
    {
        var due = time.GetUtcNow();
        for (var attempt = 0; !await TryFireAsync(reminder) && attempt < reminder.Retry.MaxRetries; attempt++)
        {
            due += reminder.Retry.Interval;
            await time.WaitUntilAsync(due, removed);
        }
    }

    /// <summary>Deleting a reminder does not break off its call: as a rule it is the call that deletes it.</summary>
    private async Task<bool> TryFireAsync(Reminder reminder)
    {
        await _calls.WaitAsync(_stopping.Token);
        try
        {
            using var reply = await invoke(
                new ActorCall
                {
                    Actor = reminder.Key.Actor,
                    Method = "remind/" + reminder.Key.Name,
                    Body = ActorCallbackBody.OfReminder(reminder.Data),
                },
                _stopping.Token);
            return true;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            logger.LogWarning("Reminder {Reminder} of actor {ActorType} {ActorId} failed: {Reason}",
                reminder.Key.Name, reminder.Key.Actor.Type, reminder.Key.Actor.Id, e.Message);
            return false;
        }
        finally
        {
            _calls.Release();
        }
    }

    /// <summary>False when it will not fire again. What the store cannot note now is noted at the next firing, or fires again after a restart.</summary>
    private async Task<bool> TickOffAsync(Scheduled scheduled)
    {
        await scheduled.Gate.WaitAsync(_stopping.Token);
        try
        {
            scheduled.Removed.Token.ThrowIfCancellationRequested();
            var reminder = scheduled.Reminder;
            var next = reminder.Schedule.AfterFiring() is { } after ? CatchUp(after) : null;
            if (next is null)
                _reminders.TryRemove(new(reminder.Key, scheduled));
            else
                scheduled.Reminder = reminder with { Schedule = next };
            if (store is not null)
                await (next is null ? store.RemoveAsync(reminder.Key, _stopping.Token) : store.SaveAsync(scheduled.Reminder, _stopping.Token));
            return next is not null;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            logger.LogError(e, "Reminder {Reminder} of actor {ActorType} {ActorId} fired, which the actor state store could not note",
                scheduled.Reminder.Key.Name, scheduled.Reminder.Key.Actor.Type, scheduled.Reminder.Key.Actor.Id);
            return _reminders.ContainsKey(scheduled.Reminder.Key);
        }
        finally
        {
            scheduled.Gate.Release();
        }
    }

    /// <summary>Keeps the rhythm: of the firings that were missed only the last is made up for. Counted ones all are.</summary>
    private ActorSchedule CatchUp(ActorSchedule schedule)
    {
        var late = time.GetUtcNow() - schedule.Next;
        var period = schedule.Period.Exact;
        if (schedule.Left != -1 || period <= TimeSpan.Zero || late < period)
            return schedule;
        var last = schedule.Next + late.Ticks / period.Ticks * period;
        return schedule with { Next = last > schedule.Expires ? schedule.Next : last };
    }
}
