using System.Threading.Channels;
using Dapr.Actors;
using Dapr.Actors.Client;
using DaprOrders.Ordering.Deadlines;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using Moq;

namespace DaprOrders.Ordering.Tests.Deadlines;

public sealed class DeadlineRegistrarTests : IAsyncLifetime
{
    private static readonly OrderingOptions FifteenMinutes = new() { PaymentDeadline = TimeSpan.FromMinutes(15) };

    private readonly ObservedTime _time = new(new DateTimeOffset(2026, 5, 1, 12, 0, 10, TimeSpan.Zero));
    private readonly Calls _calls = new();
    private readonly DeadlineRegistrar _registrar;

    public DeadlineRegistrarTests()
    {
        var actors = new Mock<IActorProxyFactory>();
        actors.Setup(factory => factory.CreateActorProxy<IDeadlineActor>(It.IsAny<ActorId>(), nameof(DeadlineActor), It.IsAny<ActorProxyOptions>()))
            .Returns((ActorId id, string _, ActorProxyOptions _) => new RecordingActor(id.GetId(), _calls));
        _registrar = new DeadlineRegistrar(actors.Object, Options.Create(FifteenMinutes), _time, NullLogger<DeadlineRegistrar>.Instance);
    }

    public async ValueTask InitializeAsync() => await _registrar.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _registrar.StopAsync(CancellationToken.None);
        _registrar.Dispose();
    }

    [Fact]
    public async Task An_order_is_registered_when_its_actor_has_it()
    {
        var registered = _registrar.RegisterAsync("o-1");
        var call = await _calls.NextAsync();

        Assert.False(registered.IsCompleted);
        call.Done.SetResult();
        await registered.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["o-1"], call.Batch.OrderIds);
        Assert.StartsWith("20260501T120030000-", call.ActorId, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_first_visit_is_half_a_deadline_after_the_youngest_order_of_the_bucket()
    {
        _ = _registrar.RegisterAsync("o-1");

        var call = await _calls.NextAsync();

        Assert.Equal(new DateTimeOffset(2026, 5, 1, 12, 8, 0, TimeSpan.Zero), call.Batch.FirstVisit);
    }

    [Fact]
    public async Task What_queues_while_a_batch_is_on_its_way_is_the_next_batch()
    {
        var first = _registrar.RegisterAsync("o-1");
        var call = await _calls.NextAsync();
        Task[] others = [.. Enumerable.Range(2, 100).Select(i => _registrar.RegisterAsync($"o-{i}"))];
        call.Done.SetResult();

        var next = await _calls.NextAsync();
        next.Done.SetResult();
        await Task.WhenAll([first, .. others]).WaitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(100, next.Batch.OrderIds.Count);
        Assert.Equal((call.ActorId, 1, 2), (next.ActorId, call.Batch.Number, next.Batch.Number));
    }

    [Fact]
    public async Task A_batch_has_at_most_a_thousand_orders()
    {
        _ = _registrar.RegisterAsync("o-0");
        var call = await _calls.NextAsync();
        for (var i = 1; i <= DeadlineRegistrar.MostInOneBatch + 1; i++)
            _ = _registrar.RegisterAsync($"o-{i}");
        call.Done.SetResult();

        var second = await _calls.NextAsync();
        second.Done.SetResult();
        var third = await _calls.NextAsync();

        Assert.Equal((DeadlineRegistrar.MostInOneBatch, 1), (second.Batch.OrderIds.Count, third.Batch.OrderIds.Count));
    }

    [Fact]
    public async Task A_later_bucket_has_an_actor_of_its_own_that_counts_from_1()
    {
        var registered = _registrar.RegisterAsync("o-1");
        var first = await _calls.NextAsync();
        first.Done.SetResult();
        await registered.WaitAsync(TestContext.Current.CancellationToken);
        _time.Advance(TimeSpan.FromSeconds(30));
        _ = _registrar.RegisterAsync("o-2");

        var second = await _calls.NextAsync();

        Assert.NotEqual(first.ActorId, second.ActorId);
        Assert.Equal(1, second.Batch.Number);
    }

    [Fact]
    public async Task While_the_actors_cannot_be_reached_orders_do_not_wait_and_are_registered_later()
    {
        var first = _registrar.RegisterAsync("o-1");
        var failed = await _calls.NextAsync();
        var waiting = _registrar.RegisterAsync("o-2");
        failed.Done.SetException(new HttpRequestException("connection refused"));
        await Task.WhenAll(first, waiting).WaitAsync(TestContext.Current.CancellationToken);
        Assert.True(_registrar.RegisterAsync("o-3").IsCompletedSuccessfully);

        var again = await NextAfterPauseAsync();
        again.Done.SetResult();
        var rest = await _calls.NextAsync();

        Assert.Equal((failed.ActorId, failed.Batch), (again.ActorId, again.Batch));
        Assert.Equal(["o-2", "o-3"], rest.Batch.OrderIds);
    }

    [Fact]
    public async Task When_too_many_wait_orders_are_refused_before_they_are_placed()
    {
        _ = _registrar.RegisterAsync("o-0");
        await _calls.NextAsync();
        for (var i = 0; i < DeadlineRegistrar.MostWaiting; i++)
            _ = _registrar.RegisterAsync($"o-{i}");

        Assert.Throws<ServiceUnavailableException>(() => { _ = _registrar.RegisterAsync("one-too-many"); });
    }

    // Time moves on by the pause, once it has begun: any further and the next call would already have timed out.
    private async Task<Call> NextAfterPauseAsync()
    {
        TimeSpan pause;
        do
        {
            pause = await _time.Timers.Reader.ReadAsync(TestContext.Current.CancellationToken);
        }
        while (pause >= TimeSpan.FromSeconds(1));

        _time.Advance(pause);
        return await _calls.NextAsync();
    }

    /// <summary>A clock that tells which timers are set on it.</summary>
    private sealed class ObservedTime(DateTimeOffset start) : FakeTimeProvider(start)
    {
        public Channel<TimeSpan> Timers { get; } = Channel.CreateUnbounded<TimeSpan>();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            Timers.Writer.TryWrite(dueTime);
            return timer;
        }
    }

    private sealed record Call(string ActorId, DeadlineBatch Batch)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Calls
    {
        private readonly System.Threading.Channels.Channel<Call> _calls = System.Threading.Channels.Channel.CreateUnbounded<Call>();

        public void Add(Call call) => Assert.True(_calls.Writer.TryWrite(call));

        public Task<Call> NextAsync() => _calls.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask();
    }

    private sealed class RecordingActor(string id, Calls calls) : IDeadlineActor
    {
        public Task RegisterAsync(DeadlineBatch batch)
        {
            var call = new Call(id, batch);
            calls.Add(call);
            return call.Done.Task;
        }
    }
}
