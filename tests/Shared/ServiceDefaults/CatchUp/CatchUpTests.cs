using Dapr;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.ServiceDefaults.Tests.CatchUp;

/// <summary>A replica of a consumer and its publisher's log, look by look, on a clock that only the test moves.</summary>
public sealed class CatchUpTests
{
    private readonly StateInMemory _state = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    private readonly PublisherLog _log = new();
    private readonly CatchUpOptions _options = new();
    private readonly List<string> _handled = [];
    private Action<IncomingEvent> _handler = _ => { };
    private long _recoveries;

    private TimeSpan Lease => _options.LookEvery * LaneCursor.LooksUntilGone;

    private static EventSigning Unsigned { get; } = EventSigning.From(new ConfigurationBuilder().Build());

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Given_an_event_that_no_delivery_brings_when_its_time_is_up_then_it_is_handled()
    {
        var replica = Replica();
        _log.Commit("a");

        await replica.LookAsync();
        Assert.Empty(_handled);
        await AfterAsync(_options.Behind, replica);

        Assert.Equal(["a:1"], _handled);
    }

    [Fact]
    public async Task Given_a_delivery_and_an_event_that_none_brought_then_the_handler_knows_which_the_catch_up_found()
    {
        var foundBy = new Dictionary<string, string?>();
        _handler = incoming => foundBy[incoming.Recorded.Id] = incoming.FoundBy;
        var replica = Replica();
        await replica.DeliverAsync(_log.Commit("delivered"));
        _log.Commit("lost");
        await replica.LookAsync();

        await AfterAsync(_options.Behind, replica);

        Assert.Equal(new Dictionary<string, string?> { ["delivered:1"] = null, ["lost:1"] = "catchUp" }, foundBy);
    }

    [Fact]
    public async Task Given_commits_that_are_not_dealt_with_then_they_count_as_behind_for_the_replica_that_follows_alone()
    {
        var (follows, waits) = (Replica(), Replica("two"));
        await AfterAsync(_options.LookEvery, follows, waits);
        _handler = _ => throw new DaprException("The store is away.");
        for (var i = 0; i < 7; i++)
            _log.Commit($"s{i}");

        await AfterAsync(_options.LookEvery, follows, waits);
        Assert.Equal((7, 0), (follows.Lane.Behind, waits.Lane.Behind));
        await AfterAsync(_options.Behind, follows, waits);
        Assert.Equal((7, 0), (follows.Lane.Behind, waits.Lane.Behind));

        _handler = _ => { };
        await AfterAsync(_options.LookEvery, follows, waits);
        Assert.Equal((0, 0), (follows.Lane.Behind, waits.Lane.Behind));
    }

    [Fact]
    public async Task Given_nothing_is_lost_then_a_look_is_one_page_read_and_no_event_is_asked_for()
    {
        var replica = Replica();
        for (var i = 0; i < 50; i++)
            Assert.Equal(DeliveryStatus.Success, await replica.DeliverAsync(_log.Commit($"s{i}")));

        for (var look = 0; look < 10; look++)
            await AfterAsync(_options.LookEvery, replica);

        Assert.Equal((10, 0), (_log.Calls["entries"], _log.Calls.GetValueOrDefault("streams")));
        Assert.Equal(50, _handled.Count);
    }

    [Fact]
    public async Task Given_a_late_delivery_then_nothing_is_fetched()
    {
        var replica = Replica();
        var recorded = _log.Commit("a");
        await replica.LookAsync();

        await replica.DeliverAsync(recorded);
        await AfterAsync(_options.Behind, replica);

        Assert.Equal(["a:1"], _handled);
        Assert.False(_log.Calls.ContainsKey("streams"));
    }

    [Fact]
    public async Task Given_a_topic_that_is_late_but_in_order_then_what_it_still_has_is_not_fetched()
    {
        var replica = Replica();
        var committed = Enumerable.Range(0, 20).Select(i => _log.Commit($"s{i}")).ToList();
        await replica.LookAsync();

        for (var i = 0; i < 6; i++)
        {
            await replica.DeliverAsync(committed[i]);
            await AfterAsync(_options.LookEvery, replica);
        }

        Assert.False(_log.Calls.ContainsKey("streams"));
    }

    [Fact]
    public async Task Given_an_event_that_was_overtaken_then_it_is_fetched_although_the_topic_is_late()
    {
        var replica = Replica();
        var committed = Enumerable.Range(0, 20).Select(i => _log.Commit($"s{i}")).ToList();
        await replica.LookAsync();

        foreach (var i in new[] { 0, 2, 3 })
        {
            await replica.DeliverAsync(committed[i]);
            await AfterAsync(_options.LookEvery, replica);
        }

        Assert.Equal(["s0:1", "s2:1", "s1:1", "s3:1"], _handled);
    }

    [Fact]
    public async Task Given_a_topic_that_stays_late_then_at_some_time_the_log_is_taken_all_the_same()
    {
        var replica = Replica();
        var committed = Enumerable.Range(0, 20).Select(i => _log.Commit($"s{i}")).ToList();
        await replica.LookAsync();

        for (var waited = TimeSpan.Zero; waited < _options.BehindAtMost; waited += _options.LookEvery)
        {
            await replica.DeliverAsync(committed[0]);
            await AfterAsync(_options.LookEvery, replica);
        }

        Assert.Equal(20, _handled.Distinct().Count());
    }

    [Fact]
    public async Task Given_many_lost_events_then_they_are_fetched_in_one_call_and_those_of_a_stream_are_handled_in_order()
    {
        var replica = Replica();
        for (var i = 0; i < 60; i++)
            _log.Commit($"s{i % 20}");

        await replica.LookAsync();
        await AfterAsync(_options.Behind, replica);

        Assert.Equal(1, _log.Calls["streams"]);
        Assert.Equal(60, _handled.Count);
        Assert.All(_handled.GroupBy(id => id.Split(':')[0]), stream => Assert.Equal(stream.Order(StringComparer.Ordinal), stream));
    }

    [Fact]
    public async Task Given_topics_of_others_and_commits_that_failed_then_nothing_is_handled_and_the_lane_is_passed()
    {
        var replica = Replica();
        _log.Commit("a", topic: null);
        _log.Commit("b", topic: "parcels");
        _log.Fail("c", 1);
        await replica.LookAsync();

        await AfterAsync(_options.Behind, replica);
        await AfterAsync(_options.LookEvery, replica);

        Assert.Empty(_handled);
        Assert.Equal(3, await PositionAsync());
    }

    [Fact]
    public async Task Given_an_event_that_cannot_be_handled_then_it_is_a_dead_letter_after_its_attempts_and_the_others_go_on()
    {
        var replica = Replica();
        _handler = incoming =>
        {
            if (incoming.Recorded.Stream == "bad")
                throw new InvalidOperationException("Nobody lives there.");
        };
        _log.Commit("good");
        _log.Commit("bad");
        _log.Commit("bad");
        _log.Commit("better");
        await replica.LookAsync();

        await AfterAsync(_options.Behind, replica);
        Assert.Equal(["better:1", "good:1"], _handled.Order(StringComparer.Ordinal));
        for (var attempt = 1; attempt < _options.Attempts; attempt++)
        {
            Assert.Empty(await LettersAsync());
            await AfterAsync(_options.LookEvery, replica);
        }

        var letters = await LettersAsync();
        Assert.Equal(["bad:1", "bad:2"], letters.Select(letter => letter.EventId));
        Assert.All(letters, letter => Assert.Equal(("letters", 6, "InvalidOperationException: Nobody lives there."), (letter.Topic, letter.Attempts, letter.Error)));
        Assert.Equal(4, await PositionAsync());
    }

    [Fact]
    public async Task Given_an_event_that_was_refused_twice_when_it_is_handled_then_how_often_it_was_tried_is_noted_and_nothing_of_the_others()
    {
        var replica = Replica();
        _handler = incoming => _ = incoming.Recorded.Stream == "bad" ? throw new InvalidOperationException("Nobody lives there.") : 0;
        _log.Commit("good");
        _log.Commit("bad");
        await replica.LookAsync();
        await AfterAsync(_options.Behind, replica);
        await AfterAsync(_options.LookEvery, replica);

        _handler = _ => { };
        await AfterAsync(_options.LookEvery, replica);

        var noted = Assert.Single(await Failures().FindAsync(["good:1", "bad:1"], Cancellation));
        Assert.Equal(
            ("bad:1", 2, "handled", "InvalidOperationException: Nobody lives there.", _options.LookEvery),
            (noted.Key, noted.Value.Attempts, noted.Value.Outcome, noted.Value.Error, noted.Value.LastAt - noted.Value.FirstAt));
    }

    [Fact]
    public async Task Given_events_of_which_one_was_delivered_then_the_other_waits_until_it_is_handled()
    {
        var replica = Replica();
        await replica.DeliverAsync(_log.Commit("delivered"));
        _log.Commit("lost");
        _log.Commit("elsewhere", topic: "parcels");
        Assert.Null(replica.Lane.Waiting);

        await replica.LookAsync();
        Assert.Equal(new Dictionary<string, int> { ["letters"] = 1 }, replica.Lane.Waiting);

        await AfterAsync(_options.Behind, replica);
        Assert.Empty(replica.Lane.Waiting!);
    }

    [Fact]
    public async Task Given_a_store_that_is_away_then_no_event_is_given_up_however_long_it_takes()
    {
        var replica = Replica();
        _handler = _ => throw new DaprException("The store is away.");
        _log.Commit("a");
        await replica.LookAsync();

        for (var look = 0; look < 50; look++)
            await AfterAsync(_options.Behind, replica);
        Assert.Empty(await LettersAsync());
        Assert.Equal(0, await PositionAsync());

        _handler = _ => { };
        await AfterAsync(_options.LookEvery, replica);
        Assert.Equal(["a:1"], _handled);
    }

    [Fact]
    public async Task Given_a_dead_letter_when_the_log_brings_its_event_then_it_is_taken_off()
    {
        var replica = Replica();
        var recorded = _log.Commit("a");
        await Letters().KeepAsync(PublishedEvents.ToCloudEvent("post", "letters", recorded, Unsigned), "The store was away.", 6, Cancellation);
        Assert.Single(await LettersAsync());
        await replica.LookAsync();

        await AfterAsync(_options.Behind, replica);

        Assert.Equal(["a:1"], _handled);
        Assert.Empty(await LettersAsync());
    }

    [Fact]
    public async Task Given_more_lost_events_of_one_stream_than_a_call_gives_then_all_are_handled_in_order()
    {
        const int Events = 2_345;
        var replica = Replica();
        for (var i = 0; i < Events; i++)
            _log.Commit("long");
        _log.Commit("short");
        await replica.LookAsync();

        await AfterAsync(_options.Behind, replica);
        await AfterAsync(_options.LookEvery, replica);

        Assert.Equal(Enumerable.Range(1, Events).Select(version => $"long:{version}"), _handled.Where(id => id != "short:1"));
        Assert.Contains("short:1", _handled);
        Assert.Equal(Events + 1, await PositionAsync());
    }

    [Fact]
    public async Task Given_a_stream_that_the_publisher_cannot_read_then_the_others_go_on_and_it_is_told_and_asked_for_again()
    {
        var replica = Replica();
        _log.Torn.Add("torn");
        _log.Commit("torn");
        _log.Commit("good");
        await replica.LookAsync();
        _log.Commit("later");

        await Assert.ThrowsAsync<HttpRequestException>(() => AfterAsync(_options.Behind, replica));
        await Assert.ThrowsAsync<HttpRequestException>(() => AfterAsync(_options.Behind, replica));
        Assert.Equal(["good:1", "later:1"], _handled);
        Assert.Equal(0, await PositionAsync());

        _log.Torn.Clear();
        await AfterAsync(_options.LookEvery, replica);
        Assert.Equal(["good:1", "later:1", "torn:1"], _handled);
    }

    [Fact]
    public async Task Given_a_look_that_takes_longer_than_a_replica_is_missed_then_no_other_does_its_work_too()
    {
        const int Streams = 1_000;
        var (one, other) = (Replica("one"), Replica("other"));
        for (var i = 0; i < Streams; i++)
            _log.Commit($"s{i}");
        await one.LookAsync();
        var isLooking = false;
        var events = 0;
        _handler = _ =>
        {
            if (isLooking || ++events % 50 != 0)
                return;
            isLooking = true;
            _time.Advance(_options.LookEvery);
            other.LookAsync().GetAwaiter().GetResult();
            isLooking = false;
        };

        await AfterAsync(_options.Behind, one);

        Assert.True(Streams / 50 > LaneCursor.LooksUntilGone);
        Assert.Equal(Streams, _handled.Count);
    }

    [Fact]
    public async Task Given_a_whole_backlog_that_is_refused_then_it_becomes_dead_letters_a_part_after_the_other()
    {
        var refused = new RefusedEvents(Letters(), Unsigned, Options.Create(_options), _time, NullLogger<RefusedEvents>.Instance);
        var backlog = Enumerable.Range(0, RefusedEvents.MostRemembered + 10).Select(i => _log.Commit($"s{i}")).ToList();
        for (var attempt = 1; attempt < _options.Attempts; attempt++)
        {
            foreach (var recorded in backlog)
                Assert.False(await IsGivenUpAsync(recorded));
        }

        Assert.True(await IsGivenUpAsync(backlog[0]));
        Assert.False(await IsGivenUpAsync(backlog[^1]));

        Task<bool> IsGivenUpAsync(RecordedEvent recorded) =>
            refused.IsGivenUpAsync("post", "letters", recorded, new InvalidOperationException("A bug of this release."), Cancellation);
    }

    [Fact]
    public async Task Given_a_backlog_that_is_refused_then_what_nobody_can_ever_read_needs_no_room_among_it_to_become_a_dead_letter()
    {
        var refused = new RefusedEvents(Letters(), Unsigned, Options.Create(_options), _time, NullLogger<RefusedEvents>.Instance);
        for (var i = 0; i < RefusedEvents.MostRemembered; i++)
            Assert.False(await refused.IsGivenUpAsync("post", "letters", _log.Commit($"s{i}"), new InvalidOperationException("A bug of this release."), Cancellation));

        Assert.True(await refused.IsGivenUpAsync("post", "letters", _log.Commit("garbled"), new UnknownEventException("Nobody can read this."), Cancellation));

        Assert.Equal("garbled:1", Assert.Single(await LettersAsync()).EventId);
    }

    [Fact]
    public async Task Given_a_publisher_that_is_away_then_nothing_is_passed_over()
    {
        var replica = Replica();
        _log.Commit("a");
        await replica.LookAsync();
        _log.IsAway = true;
        await Assert.ThrowsAsync<HttpRequestException>(() => AfterAsync(_options.Behind, replica));
        _log.Commit("b");

        _log.IsAway = false;
        await AfterAsync(_options.LookEvery, replica);
        await AfterAsync(_options.Behind, replica);

        Assert.Equal(["a:1", "b:1"], _handled);
    }

    [Fact]
    public async Task Given_a_restart_then_it_goes_on_where_it_was()
    {
        var replica = Replica();
        for (var i = 0; i < 10; i++)
            await replica.DeliverAsync(_log.Commit($"s{i}"));
        await AfterAsync(_options.LookEvery, replica);
        await AfterAsync(_options.LookEvery, replica);
        _log.Commit("lost");
        _handled.Clear();

        var restarted = Replica();
        await restarted.LookAsync();
        await AfterAsync(_options.Behind, restarted);

        Assert.Equal(["lost:1"], _handled);
    }

    [Fact]
    public async Task Given_two_replicas_then_one_follows_and_the_other_takes_over_when_it_falls_silent()
    {
        var (one, other) = (Replica("one"), Replica("other"));
        await one.LookAsync();
        await other.LookAsync();
        Assert.Equal(1, _log.Calls["entries"]);
        for (var look = 0; look < 20; look++)
            await AfterAsync(_options.LookEvery, one, other);
        Assert.Equal(21, _log.Calls["entries"]);
        _log.Commit("lost");

        for (var waited = TimeSpan.Zero; waited <= Lease + _options.Behind + _options.LookEvery; waited += _options.LookEvery)
            await AfterAsync(_options.LookEvery, other);

        Assert.Equal(["lost:1"], _handled);
    }

    [Fact]
    public async Task Given_a_replica_that_stops_then_the_other_goes_on_at_once()
    {
        var (one, other) = (Replica("one"), Replica("other"));
        await one.LookAsync();
        _log.Commit("lost");

        await one.ReleaseAsync();
        await other.LookAsync();
        await AfterAsync(_options.Behind, other);

        Assert.Equal(["lost:1"], _handled);
    }

    [Fact]
    public async Task Given_a_replica_that_was_only_paused_when_another_has_its_lane_then_it_follows_no_more()
    {
        var (paused, other) = (Replica("paused"), Replica("other"));
        await paused.LookAsync();
        for (var waited = TimeSpan.Zero; waited <= Lease + _options.LookEvery; waited += _options.LookEvery)
            await AfterAsync(_options.LookEvery, other);
        var before = _log.Calls["entries"];

        await paused.LookAsync();
        await paused.LookAsync();

        Assert.Equal(before + 1, _log.Calls["entries"]);
    }

    [Fact]
    public async Task Given_a_topic_that_brings_nothing_although_the_log_moves_then_it_is_told_until_it_brings_something()
    {
        var replica = Replica();
        for (var look = 0; look < 6; look++)
        {
            _log.Commit($"s{look}");
            await AfterAsync(_options.LookEvery, replica);
        }

        Assert.Contains("Topic letters brings nothing", replica.Topic.Silence.Warning);
        await replica.DeliverAsync(_log.Commit("heard"));
        await AfterAsync(_options.LookEvery, replica);

        Assert.Null(replica.Topic.Silence.Warning);
    }

    [Fact]
    public async Task Given_another_replica_that_gets_all_deliveries_then_who_follows_the_log_raises_no_alarm()
    {
        var (one, other) = (Replica("one"), Replica("other"));
        await one.LookAsync();
        for (var look = 0; look < 12; look++)
        {
            await other.DeliverAsync(_log.Commit($"s{look}"));
            await AfterAsync(_options.LookEvery, other, one);
            Assert.Null(one.Topic.Silence.Warning);
        }
    }

    [Fact]
    public void The_attempts_are_those_of_the_delivery()
    {
        var yaml = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "resiliency.yaml"));

        Assert.Contains($"maxRetries: {_options.Attempts - 1}\n", yaml.Replace("\r", ""), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Given_an_own_store_that_lost_the_latest_moves_of_the_cursor_then_the_lane_is_followed_from_where_it_says_now()
    {
        var replica = Replica();
        _log.Commit("a");
        await AfterAsync(_options.LookEvery, replica);
        await AfterAsync(_options.Behind, replica);
        var earlier = await CursorAsync();
        await HandledAtOnceAsync(replica, "b", "c");
        await AfterAsync(_options.LookEvery, replica);
        await AfterAsync(_options.LookEvery, replica);
        Assert.Equal(3, await PositionAsync());

        _state.Put("catch-up|post|0", earlier);
        replica.Topic.Handled.Clear();
        _handled.Clear();
        for (var look = 0; look < 6; look++)
            await AfterAsync(_options.LookEvery, replica);

        Assert.Equal(["b:1", "c:1"], _handled);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Given_an_own_store_that_was_recovered_then_what_was_handled_shortly_before_is_handled_again(bool cursorIsLost)
    {
        var replica = Replica();
        await AfterAsync(_options.LookEvery, replica);
        await HandledAtOnceAsync(replica, "long-ago");
        for (var waited = TimeSpan.Zero; waited < TimeSpan.FromMinutes(3); waited += _options.LookEvery)
            await AfterAsync(_options.LookEvery, replica);
        await HandledAtOnceAsync(replica, "lately");
        for (var look = 0; look < 3; look++)
            await AfterAsync(_options.LookEvery, replica);
        Assert.Equal(2, await PositionAsync());

        if (cursorIsLost)
            await _state.Client.DeleteStateAsync("statestore", "catch-up|post|0", cancellationToken: Cancellation);
        replica.Topic.Handled.Clear();
        _recoveries++;
        _handled.Clear();
        for (var look = 0; look < 6; look++)
            await AfterAsync(_options.LookEvery, replica);

        Assert.Equal(cursorIsLost ? ["long-ago:1", "lately:1"] : ["lately:1"], _handled);
    }

    [Fact]
    public async Task Given_several_streams_in_a_row_that_the_publisher_cannot_read_then_those_behind_them_are_handled()
    {
        const int Good = 150;
        var replica = Replica();
        foreach (var torn in new[] { "t1", "t2", "t3" })
        {
            _log.Torn.Add(torn);
            _log.Commit(torn);
        }

        for (var i = 0; i < Good; i++)
            _log.Commit($"good{i}");
        await replica.LookAsync();
        for (var look = 0; look < 5; look++)
            await Assert.ThrowsAsync<HttpRequestException>(() => AfterAsync(_options.Behind, replica));

        Assert.Equal(Good, _handled.Count);
    }

    [Fact]
    public async Task Given_an_event_that_cannot_be_had_for_long_then_the_cursor_passes_it_and_it_is_handled_once_it_can_be_had()
    {
        var replica = Replica();
        _log.Torn.Add("torn");
        _log.Commit("torn");
        await replica.LookAsync();
        for (var waited = TimeSpan.Zero; waited < TimeSpan.FromMinutes(11); waited += _options.LookEvery)
        {
            await replica.DeliverAsync(_log.Commit($"s{waited.TotalSeconds}"));
            await Record.ExceptionAsync(() => AfterAsync(_options.LookEvery, replica));
        }

        Assert.True(await PositionAsync() > 100, $"The cursor stands at {await PositionAsync()}.");
        await replica.ReleaseAsync();
        _handled.Clear();
        var next = Replica("next");
        await Record.ExceptionAsync(() => AfterAsync(_options.Behind, next));
        await Assert.ThrowsAsync<HttpRequestException>(() => AfterAsync(_options.Behind, next));
        Assert.True(_handled.Count < 5, $"{_handled.Count} events are handled again by another replica.");

        _log.Torn.Clear();
        await AfterAsync(_options.LookEvery, next);
        Assert.Contains("torn:1", _handled);
        _handled.Clear();
        await AfterAsync(_options.LookEvery, next);
        await next.ReleaseAsync();
        await AfterAsync(_options.Behind, Replica("last"));
        Assert.DoesNotContain("torn:1", _handled);
    }

    private async Task HandledAtOnceAsync(Follower replica, params string[] streams)
    {
        foreach (var stream in streams)
            Assert.Equal(DeliveryStatus.Success, await replica.DeliverAsync(_log.Commit(stream)));
    }

    private async Task AfterAsync(TimeSpan time, params Follower[] replicas)
    {
        _time.Advance(time);
        foreach (var replica in replicas)
            await replica.LookAsync();
    }

    private Follower Replica(string name = "one")
    {
        var documents = new Documents(_state.Client, _state, "statestore");
        var topic = new Topic(
            "letters", "post", (events, _) => HandleAsync(events), new HandledEvents(_options.BehindAtMost, _time), new EventTypes().AddFamily<LetterEvent>(), Unsigned, new UnknownTypes(NullLogger<UnknownTypes>.Instance), Failures(), _time, NullLogger<Topic>.Instance);
        var refused = new RefusedEvents(Letters(), Unsigned, Options.Create(_options), _time, NullLogger<RefusedEvents>.Instance);
        var lane = new LaneFollower(
            "post", "0", new LaneCursor(documents, "catch-up|post|0", name, _options.LookEvery, _time, () => _recoveries), documents, _log,
            new Dictionary<string, Topic> { ["letters"] = topic }, Letters(), refused, _options, _time, NullLogger.Instance);
        return new Follower(topic, lane, () => topic.Silence.LookAsync(documents, name, _options.LookEvery, NullLogger.Instance, Cancellation));
    }

    private Task HandleAsync(IReadOnlyList<IncomingEvent> events)
    {
        foreach (var incoming in events)
        {
            _handler(incoming);
            lock (_handled)
                _handled.Add(incoming.Recorded.Id);
        }

        return Task.CompletedTask;
    }

    private FailureLog Failures() => new(new Documents(_state.Client, _state, "statestore"), _time, NullLogger<FailureLog>.Instance);

    private DeadLetterStore Letters() => new(new Documents(_state.Client, _state, "statestore"), Failures(), new TopicRegistry(), _time);

    private async Task<IReadOnlyList<DeadLetter>> LettersAsync() => [.. (await Letters().ReadAsync(null, 100, Cancellation))!.Items.OrderBy(letter => letter.EventId)];

    private async Task<object?> CursorAsync() => await new Documents(_state.Client, _state, "statestore").ReadAsync<object>("catch-up|post|0", Cancellation);

    private async Task<long> PositionAsync() =>
        (await new Documents(_state.Client, _state, "statestore").ReadAsync<CursorDocument>("catch-up|post|0", Cancellation))!.Position;

    private sealed record CursorDocument(long Position);

    private sealed record Follower(Topic Topic, LaneFollower Lane, Func<Task> ListenAsync)
    {
        public async Task LookAsync()
        {
            await Lane.LookAsync(Cancellation);
            await ListenAsync();
        }

        public Task ReleaseAsync() => Lane.ReleaseAsync(Cancellation);

        public async Task<DeliveryStatus> DeliverAsync(RecordedEvent recorded) => Assert.Single(
            await Topic.DeliverAsync([PublishedEvents.ToCloudEvent("post", "letters", recorded, Unsigned)], Cancellation));
    }
}
