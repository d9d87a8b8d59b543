namespace DaprOrders.EventSourcing.Tests.Store;

public sealed class StreamTests
{
    private static readonly CommandContext NoContext = new();

    [Fact]
    public async Task Given_no_stream_when_loaded_then_it_is_at_version_0_with_the_initial_state()
    {
        await using var calm = new CalmStore();

        var stream = await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken);

        Assert.False(stream.Exists);
        Assert.Equal(Ledger.Empty, stream.State);
    }

    [Fact]
    public async Task Given_bookings_when_loaded_then_versions_are_contiguous_and_the_state_is_their_fold()
    {
        await using var calm = new CalmStore();
        await calm.BookAsync("a", 5, 7);
        var handled = await calm.BookAsync("a", 1);

        var events = await calm.Store.ReadStreamAsync("ledger-a", 0, 100, TestContext.Current.CancellationToken);

        Assert.Equal([1L, 2L, 3L], events.Select(e => e.Version));
        Assert.Equal(new Ledger(13, 3, false), handled.Stream.State);
        Assert.Equal(handled.Stream.State, (await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).State);
    }

    [Fact]
    public async Task Given_a_long_stream_then_every_version_of_it_can_be_read_back_as_it_was()
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipEvents = 4 });
        for (var i = 1; i <= 50; i++)
        {
            await calm.BookAsync("a", i);
        }

        Assert.True(calm.PagesWritten > 5, "a tip of 4 events must have moved its older ones to pages");
        for (var version = 1; version <= 50; version++)
        {
            var then = await calm.Store.LoadAsync(CalmStore.Category, "a", version, TestContext.Current.CancellationToken);
            Assert.Equal(new Ledger(version * (version + 1) / 2, version, false), then!.State);
            Assert.NotNull(then.UpdatedAt);
        }

        Assert.Null(await calm.Store.LoadAsync(CalmStore.Category, "a", 51, TestContext.Current.CancellationToken));
        var tail = await calm.Store.ReadStreamAsync("ledger-a", 20, 7, TestContext.Current.CancellationToken);
        Assert.Equal([21L, 22L, 23L, 24L, 25L, 26L, 27L], tail.Select(e => e.Version));
    }

    [Fact]
    public async Task However_long_a_stream_is_loading_it_reads_one_key()
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipEvents = 4 });
        for (var i = 1; i <= 40; i++)
        {
            await calm.BookAsync("a", i);
        }

        await calm.Store.StopAsync(TestContext.Current.CancellationToken);
        var before = calm.KeysRead;
        await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken);

        Assert.Equal(1, calm.KeysRead - before);
    }

    [Fact]
    public async Task However_long_a_stream_is_reading_one_old_event_of_it_reads_few_keys()
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipEvents = 4 });
        for (var i = 1; i <= 40; i++)
        {
            await calm.BookAsync("a", [.. Enumerable.Repeat(1, 1 + (i % 3))]);
        }

        await calm.Store.StopAsync(TestContext.Current.CancellationToken);
        for (var version = 1; version <= 80; version++)
        {
            var before = calm.KeysRead;
            var read = await calm.Store.ReadStreamAsync("ledger-a", version - 1, 1, TestContext.Current.CancellationToken);

            Assert.Equal([version], read.Select(e => e.Version));
            Assert.InRange(calm.KeysRead - before, 1, 5);
        }
    }

    [Fact]
    public async Task Large_events_leave_the_tip_by_their_size()
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipBytes = 1000 });
        for (var i = 0; i < 5; i++)
        {
            await calm.Store.HandleAsync(CalmStore.Category, "a", _ => new Booked(i, new string('x', 600)), NoContext, TestContext.Current.CancellationToken);
        }

        Assert.Equal(4, calm.PagesWritten);
        Assert.Equal(5, (await calm.Store.ReadStreamAsync("ledger-a", 0, 10, TestContext.Current.CancellationToken)).Count);
    }

    [Fact]
    public async Task A_snapshot_of_an_older_shape_is_ignored_and_the_state_folded_anew()
    {
        await using var calm = new CalmStore(new EventStoreOptions { TipEvents = 4 });
        for (var i = 1; i <= 20; i++)
        {
            await calm.BookAsync("a", 1);
        }

        var doubled = new StreamCategory<Ledger, LedgerEvent>(
            "ledger", "ledgers", Ledger.Empty, (state, e) => Ledger.After(Ledger.After(state, e), e), SnapshotVersion: 2);
        var stream = await calm.Store.LoadAsync(doubled, "a", TestContext.Current.CancellationToken);

        Assert.Equal(40, stream.State.Balance);
    }

    [Fact]
    public async Task Nothing_decided_writes_nothing_and_a_refusal_is_handed_back()
    {
        await using var calm = new CalmStore();

        var nothing = await calm.Store.HandleAsync(
            CalmStore.Category, "a", _ => Decision<LedgerEvent>.Nothing, NoContext, TestContext.Current.CancellationToken);
        var refused = await calm.Store.HandleAsync(
            CalmStore.Category, "a", _ => Decision<LedgerEvent>.Refuse("closed", "It is closed."), NoContext, TestContext.Current.CancellationToken);

        Assert.Empty(nothing.Appended);
        Assert.Equal(new Refusal("closed", "It is closed."), refused.Refusal);
        Assert.False((await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).Exists);
    }

    [Fact]
    public async Task A_command_for_another_version_is_refused_and_names_both()
    {
        await using var calm = new CalmStore();
        await calm.BookAsync("a", 1, 2);

        var refusal = await Assert.ThrowsAsync<WrongVersionException>(() => calm.Store.HandleAsync(
            CalmStore.Category, "a", _ => new Booked(3, ""), new CommandContext(ExpectedVersion: 1), TestContext.Current.CancellationToken));

        Assert.Equal((1, 2), (refusal.Expected, refusal.Actual));
    }

    [Fact]
    public async Task A_stream_that_was_thought_new_but_exists_is_decided_on_what_it_is()
    {
        await using var calm = new CalmStore();
        await calm.BookAsync("a", 1);

        var handled = await calm.Store.HandleAsync(
            CalmStore.Category,
            "a",
            state => state.Bookings == 0 ? new Booked(9, "") : Decision<LedgerEvent>.Nothing,
            new CommandContext(LikelyNew: true),
            TestContext.Current.CancellationToken);

        Assert.Empty(handled.Appended);
        Assert.Equal(1, handled.Stream.State.Balance);
    }

    [Fact]
    public async Task Concurrent_commands_on_one_stream_all_take_effect_once()
    {
        await using var calm = new CalmStore();

        await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => calm.BookAsync("a", 1)));

        Assert.Equal(new Ledger(40, 40, false), (await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).State);
    }

    [Fact]
    public async Task Commands_on_one_stream_that_wait_for_their_commit_share_it_and_each_has_its_own_answer()
    {
        await using var calm = new CalmStore();
        await calm.Store.Ready;
        var gate = new TaskCompletionSource();
        calm.Gate = gate.Task;
        var other = calm.BookAsync("other", 1);
        await calm.AtGate;

        var last = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var bookings = Enumerable.Range(1, 5).Select(amount => calm.BookAsync("a", amount)).ToArray();
        var ifEmpty = calm.Store.HandleAsync(
            CalmStore.Category,
            "a",
            state =>
            {
                last.TrySetResult();
                return state.Bookings == 0 ? new Booked(100, "") : Decision<LedgerEvent>.Nothing;
            },
            NoContext,
            TestContext.Current.CancellationToken);

        // Commands take turns: when the last one decides, the others wait for their commit.
        await last.Task;
        Assert.False(ifEmpty.IsCompleted, "nothing is answered from what is not committed");
        gate.SetResult();

        await other;
        var handled = await Task.WhenAll(bookings);
        Assert.Empty((await ifEmpty).Appended);
        Assert.Equal(2, calm.Batches);
        Assert.Equal([1L, 2L, 3L, 4L, 5L], handled.Select(one => Assert.Single(one.Appended).Version));
        Assert.Equal([1, 3, 6, 10, 15], handled.Select(one => one.Stream.State.Balance));
    }

    [Fact]
    public async Task Without_group_commit_each_command_is_a_commit_of_its_own()
    {
        await using var calm = new CalmStore(new EventStoreOptions { MaxBatch = 1 });

        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => calm.BookAsync("a", 1)));

        Assert.Equal(10, calm.Batches);
    }

    [Fact]
    public async Task Events_of_one_command_that_do_not_fit_into_one_write_are_refused_before_anything_is_stored()
    {
        await using var calm = new CalmStore(new EventStoreOptions { MaxBatchBytes = 1_000 });

        await Assert.ThrowsAsync<EventTooLargeException>(() => calm.BookAsync("a", [.. Enumerable.Range(1, 20)]));

        Assert.False((await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).Exists);
    }

    [Fact]
    public void An_id_that_would_look_like_a_part_of_a_key_is_refused()
    {
        Assert.Throws<ArgumentException>(() => CalmStore.Category.StreamOf("a|page|1"));
    }

    [Fact]
    public void A_state_of_which_a_snapshot_could_lose_a_part_is_refused()
    {
        var refusal = Assert.Throws<ArgumentException>(() => new StreamCategory<IReadOnlyList<int>, Booked>("sums", null, [], (sums, _) => sums));

        Assert.Contains("'sums'", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_above_the_limit_is_refused_before_anything_is_stored()
    {
        await using var calm = new CalmStore(new EventStoreOptions { MaxEventBytes = 100 });

        await Assert.ThrowsAsync<EventTooLargeException>(() => calm.Store.HandleAsync(
            CalmStore.Category, "a", _ => new Booked(1, new string('x', 100)), NoContext, TestContext.Current.CancellationToken));

        Assert.False((await calm.Store.LoadAsync(CalmStore.Category, "a", TestContext.Current.CancellationToken)).Exists);
    }

    [Fact]
    public async Task What_was_committed_when_the_store_stops_is_published_and_the_log_holds_it_once()
    {
        var calm = new CalmStore();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => calm.BookAsync($"s{i}", 1, 2)));
        await calm.DisposeAsync();

        Assert.Equal(40, calm.Published.Select(e => e.Id).Distinct().Count());
        var lane = Assert.Single((await calm.Store.ReadLanesAsync(TestContext.Current.CancellationToken)).Lanes);
        var logged = new List<string>();
        for (var position = 0L; position < lane.Settled;)
        {
            var page = await calm.Store.ReadLogAsync(lane.Name, position, 7, TestContext.Current.CancellationToken);
            logged.AddRange(page!.Events.Select(e => e.Id));
            position = page.Next;
        }

        Assert.Equal(40, logged.Count);
        Assert.Equal(40, logged.Distinct().Count());
    }
}
