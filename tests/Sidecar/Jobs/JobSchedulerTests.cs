using System.Globalization;
using System.Threading.Channels;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Launcher;
using DaprOrders.Sidecar.Tests.PubSub;
using EmbeddedSidecar.Jobs;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Jobs;

/// <summary>What was scheduled is called, at least once for each time that it is due, whatever ends in between.</summary>
public sealed class JobSchedulerTests : IDisposable
{
    private static readonly JobOwner Shop = new("default", "shop");
    private static readonly JobOwner Billing = new("default", "billing");

    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly Channel<string> _calls = Channel.CreateUnbounded<string>();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Jobs_are_there_after_a_restart_and_the_missed_calls_of_a_repeating_one_are_all_made_up_for()
    {
        await using (var first = Start())
        {
            first.Join(Shop, Succeeding("shop"));
            first.Schedule(new(Shop, "later"), new() { Name = "later", DueTime = "1h" }, overwrite: false);
            first.Schedule(new(Shop, "often"), new() { Name = "often", Schedule = "@every 10s", Repeats = 3 }, overwrite: false);
            _time.Advance(TimeSpan.FromSeconds(10));
            Assert.Equal("shop often", await NextCallAsync());
            await Eventually.HoldsAsync(() => first.List(Shop, "often") is [{ Progress.Count: 1 }], "the call is noted");
        }

        _time.Advance(TimeSpan.FromSeconds(25));
        await using var second = Start();
        Assert.Equal(["later", "often"], second.List(Shop, "").Select(record => record.Key.Name));
        Assert.Equal("1h", second.Find(new(Shop, "later"))!.DueTime);
        second.Join(Shop, Succeeding("shop"));

        Assert.Equal("shop often", await NextCallAsync());
        Assert.Equal("shop often", await NextCallAsync());
        await Eventually.HoldsAsync(() => second.Find(new(Shop, "often")) is null, "a job that was called for the last time is gone");
    }

    [Fact]
    public async Task A_call_that_was_under_way_when_the_process_ended_comes_again()
    {
        await using (var first = Start())
        {
            var replicaGoes = new TaskCompletionSource<bool>();
            Task<bool> CallAsync(Job job)
            {
                _calls.Writer.TryWrite(job.Name);
                return replicaGoes.Task;
            }

            first.Join(Shop, CallAsync);
            first.Schedule(new(Shop, "slow"), new() { Name = "slow", DueTime = "0s" }, overwrite: false);
            Assert.Equal("slow", await NextCallAsync());
            first.Leave(CallAsync);
            replicaGoes.SetCanceled(TestContext.Current.CancellationToken);
        }

        await using var second = Start();
        second.Join(Shop, Succeeding("again"));

        Assert.Equal("again slow", await NextCallAsync());
    }

    [Fact]
    public async Task Jobs_of_one_name_belong_each_to_their_own_application()
    {
        await using var scheduler = Start();
        scheduler.Schedule(new(Shop, "clean-up"), new() { Name = "clean-up", DueTime = "1m" }, overwrite: false);
        scheduler.Schedule(new(Billing, "clean-up"), new() { Name = "clean-up", DueTime = "1m" }, overwrite: false);
        scheduler.Schedule(new(new("test", "shop"), "clean-up"), new() { Name = "clean-up", DueTime = "2m" }, overwrite: false);
        scheduler.Join(Shop, Succeeding("shop"));
        scheduler.Join(Billing, Succeeding("billing"));

        scheduler.Delete(new(Shop, "clean-up"));
        _time.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal("billing clean-up", await NextCallAsync());
        Assert.Null(scheduler.Find(new(Shop, "clean-up")));
        Assert.Equal("2m", scheduler.Find(new(new("test", "shop"), "clean-up"))!.DueTime);
    }

    [Fact]
    public async Task A_second_job_of_a_name_is_refused_unless_it_is_to_replace_the_first_which_then_is_not_called()
    {
        await using var scheduler = Start();
        scheduler.Join(Shop, Succeeding("shop"));
        scheduler.Schedule(new(Shop, "one"), new() { Name = "one", DueTime = "1m" }, overwrite: false);

        var refused = Assert.Throws<JobExistsException>(() => scheduler.Schedule(new(Shop, "one"), new() { Name = "one", DueTime = "2m" }, overwrite: false));
        scheduler.Schedule(new(Shop, "one"), new() { Name = "one", DueTime = "3m" }, overwrite: true);
        scheduler.Schedule(new(Shop, "two"), new() { Name = "two", DueTime = "2m" }, overwrite: false);
        _time.Advance(TimeSpan.FromMinutes(2));

        Assert.Equal("job already exists: 'app||default||shop||one'", refused.Message);
        Assert.Equal("shop two", await NextCallAsync());
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("shop one", await NextCallAsync());
    }

    public static TheoryData<string, int> Policies => new() { { "", 4 }, { """{ "drop": {} }""", 1 }, { """{ "constant": { "interval": "2s", "maxRetries": 1 } }""", 2 } };

    [Theory]
    [MemberData(nameof(Policies))]
    public async Task A_job_that_fails_is_called_as_often_as_its_policy_says(string policy, int calls)
    {
        await using var scheduler = Start();
        scheduler.Join(Shop, job =>
        {
            _calls.Writer.TryWrite(job.Name);
            return Task.FromResult(false);
        });
        var failing = new Job { Name = "failing", DueTime = "0s", FailurePolicy = policy.Length == 0 ? null : JobFailurePolicy.Parser.ParseJson(policy) };

        scheduler.Schedule(new(Shop, "failing"), failing, overwrite: false);

        await Eventually.HoldsAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return scheduler.Find(new(Shop, "failing")) is null;
            },
            "the job is given up");
        Assert.Equal(calls, _calls.Reader.Count);
    }

    [Fact]
    public async Task Replicas_take_turns()
    {
        await using var scheduler = Start();
        scheduler.Join(Shop, Succeeding("first"));
        scheduler.Join(Shop, Succeeding("second"));

        var calls = new List<string>();
        foreach (var name in new[] { "a", "b", "c", "d" })
        {
            scheduler.Schedule(new(Shop, name), new() { Name = name, DueTime = "0s" }, overwrite: false);
            calls.Add((await NextCallAsync()).Split(' ')[0]);
        }

        Assert.Equal(["first", "first", "second", "second"], calls.Order());
    }

    [Fact]
    public async Task The_file_belongs_to_one_process_at_a_time()
    {
        await using var scheduler = Start();
        scheduler.Schedule(new(Shop, "one"), new() { Name = "one", DueTime = "1h" }, overwrite: false);
        await using var other = new JobScheduler(_folder.File("jobs.db"), _time, NullLogger.Instance);

        var refused = Assert.Throws<IOException>(other.Start);

        Assert.Contains("Where another process has them", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("@every -1s", "2030-01-01T00:00:01Z")]
    [InlineData("@every 0s", "2030-01-01T00:00:01Z")]
    [InlineData("@every 250ms", "2030-01-01T00:00:00.25Z")]
    public void A_period_of_nothing_is_a_second(string schedule, string next) =>
        Assert.Equal(DateTimeOffset.Parse(next, CultureInfo.InvariantCulture), JobRecord.Create(new(Shop, "x"), new() { Schedule = schedule }, _time.GetUtcNow()).Next());

    private JobScheduler Start()
    {
        var scheduler = new JobScheduler(_folder.File("jobs.db"), _time, NullLogger.Instance);
        scheduler.Start();
        return scheduler;
    }

    private JobConsumer Succeeding(string replica) => job =>
    {
        _calls.Writer.TryWrite($"{replica} {job.Name}");
        return Task.FromResult(true);
    };

    private async Task<string> NextCallAsync() => await _calls.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(2));
}
