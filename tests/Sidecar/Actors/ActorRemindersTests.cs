using System.Text;
using System.Threading.Channels;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Components.State.InMemory;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.Actors;

public sealed class ActorRemindersTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly SteppedTime _time = new();
    private readonly InMemoryStateStore _store;
    private readonly Channel<string> _fired = Channel.CreateUnbounded<string>();
    private readonly List<ActorReminders> _all = [];
    private Func<ActorCall, Task> _onCall = _ => Task.CompletedTask;

    public ActorRemindersTests() => _store = new InMemoryStateStore(_time);

    public async ValueTask DisposeAsync()
    {
        foreach (var reminders in _all)
            await reminders.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task One_that_fires_once_is_gone_from_the_store_afterwards()
    {
        var reminders = await StartAsync();
        await CreateAsync(reminders, "1s", null);
        await _time.StepAsync(Second);
        Assert.Equal("remind/wake {\"data\":\"AQI=\",\"dueTime\":\"\",\"period\":\"\"}", await NextAsync());
        await GoneAsync(reminders);
        Assert.Empty(await new ReminderStore(_store, "app").LoadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_periodic_one_keeps_its_rhythm_through_failed_calls()
    {
        var reminders = await StartAsync();
        var times = new List<double>();
        _onCall = _ =>
        {
            times.Add((_time.GetUtcNow() - _time.Start).TotalSeconds);
            return times.Count == 1 ? throw new ActorCallException(ActorFailure.App, "no") : Task.CompletedTask;
        };
        await CreateAsync(reminders, "1s", "3s");
        await _time.StepAsync(Second);
        await NextAsync();
        await _time.StepAsync(Second);
        await NextAsync();
        await _time.StepAsync(2 * Second);
        await NextAsync();
        Assert.Equal([1, 2, 4], times);
    }

    [Fact]
    public async Task A_failing_one_is_tried_three_times_more_a_second_apart_and_then_forgotten()
    {
        var reminders = await StartAsync();
        _onCall = _ => throw new ActorCallException(ActorFailure.App, "no");
        await CreateAsync(reminders, "1s", null);
        for (var n = 0; n < 4; n++)
        {
            await _time.StepAsync(Second);
            await NextAsync();
        }
        await GoneAsync(reminders);
    }

    [Fact]
    public async Task What_was_not_ticked_off_before_a_kill_fires_again_and_a_missed_period_fires_once()
    {
        var killed = await StartAsync();
        await CreateAsync(killed, "5s", "10s");
        await _time.StepAsync(TimeSpan.Zero);
        // The process is gone now: nothing of it writes any more. It is back after three periods.
        await EndAsync(killed);
        _time.Advance(TimeSpan.FromSeconds(37));

        var reminders = await StartAsync();
        await NextAsync();
        await _time.StepAsync(TimeSpan.FromSeconds(8));
        await NextAsync();
        Assert.Equal(45, (_time.GetUtcNow() - _time.Start).TotalSeconds);
        Assert.Equal("@every 10s", reminders.Find(Key("wake"))!.Period);
    }

    [Fact]
    public async Task Repetitions_that_are_left_outlive_a_restart()
    {
        var first = await StartAsync();
        await CreateAsync(first, "1s", "R3/PT1S");
        await _time.StepAsync(Second);
        await NextAsync();
        await _time.StepAsync(TimeSpan.Zero);
        await EndAsync(first);

        var second = await StartAsync();
        await _time.StepAsync(Second);
        await NextAsync();
        await _time.StepAsync(Second);
        await NextAsync();
        await GoneAsync(second);
    }

    [Fact]
    public async Task It_may_be_deleted_by_its_own_call()
    {
        var reminders = await StartAsync();
        _onCall = _ => reminders.DeleteAsync(Key("wake"), TestContext.Current.CancellationToken);
        await CreateAsync(reminders, "1s", "1s");
        await _time.StepAsync(Second);
        await NextAsync();
        await GoneAsync(reminders);
        Assert.Empty(await new ReminderStore(_store, "app").LoadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_replaced_one_fires_as_registered_last_and_is_kept_once()
    {
        var reminders = await StartAsync();
        await CreateAsync(reminders, "1s", null);
        await CreateAsync(reminders, "1h", null);
        await Assert.ThrowsAsync<ReminderExistsException>(() => CreateAsync(reminders, "1s", null, overwrite: false));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("1h", Assert.Single(await new ReminderStore(_store, "app").LoadAsync(TestContext.Current.CancellationToken)).DueTime);
        Assert.False(_fired.Reader.TryPeek(out _));
    }

    [Fact]
    public async Task Thousands_are_found_again_after_a_restart_whatever_their_names()
    {
        var reminders = await StartAsync();
        foreach (var n in Enumerable.Range(0, 2_000))
            await CreateAsync(reminders, "1h", null, name: $"n||{n}/ü");
        await reminders.DeleteAsync(Key("n||7/ü"), TestContext.Current.CancellationToken);

        var again = await StartAsync();
        Assert.Equal(1_999, again.List("Cart", "1").Count);
        Assert.Null(again.Find(Key("n||7/ü")));
    }

    private static ReminderKey Key(string name) => new(new("Cart", "1"), name);

    private async Task<ActorReminders> StartAsync()
    {
        var reminders = new ActorReminders(new ReminderStore(_store, "app"), CallAsync, (_, _) => Task.CompletedTask, _time, NullLogger.Instance);
        _all.Add(reminders);
        await reminders.StartAsync(TestContext.Current.CancellationToken);
        return reminders;
    }

    private Task CreateAsync(ActorReminders reminders, string due, string? period, bool overwrite = true, string name = "wake") => reminders.CreateAsync(
        new(Key(name), "\"AQI=\""u8.ToArray(), due, "", ActorSchedule.OfReminder(due, period, null, _time.GetUtcNow()), ReminderRetry.Default),
        overwrite,
        TestContext.Current.CancellationToken);

    private async Task<ActorReply> CallAsync(ActorCall call, CancellationToken cancellationToken)
    {
        try
        {
            await _onCall(call);
            return new ActorReply(new HttpResponseMessage(), []);
        }
        finally
        {
            _fired.Writer.TryWrite($"{call.Method} {Encoding.UTF8.GetString(call.Body.Span)}");
        }
    }

    private Task<string> NextAsync() => _fired.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask()
        .WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);

    /// <summary>Ends when it will not fire any more, and the store has noted that (disposing waits for it).</summary>
    private async Task GoneAsync(ActorReminders reminders)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (reminders.Find(Key("wake")) is not null)
            await poll.WaitForNextTickAsync(patience.Token);
        await EndAsync(reminders);
    }

    private async Task EndAsync(ActorReminders reminders)
    {
        _all.Remove(reminders);
        await reminders.DisposeAsync();
    }
}
