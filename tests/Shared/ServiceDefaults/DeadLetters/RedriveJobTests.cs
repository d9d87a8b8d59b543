using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.DeadLetters;

public sealed class RedriveJobTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Redriving_all_is_a_job_that_keeps_only_those_that_fail_again()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
            events[0].Recorded.Stream == "bad" ? throw new InvalidOperationException("still bad") : Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("bad", 1), CloudEvent("a", 1), CloudEvent("bad", 2), CloudEvent("b", 1), CloudEvent("x", 1, topic: "elsewhere"), "junk");

        var begun = await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);

        Assert.Equal((HttpStatusCode.Accepted, "/dead-letters/redrive"), (begun.StatusCode, begun.Headers.Location?.OriginalString));
        var report = await DoneAsync(host);
        Assert.Equal((await JsonAsync(begun)).GetProperty("id").GetString(), report.GetProperty("id").GetString());
        Assert.Equal((2, 4), Counts(report));
        var left = (await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray().ToList();
        Assert.Equal(4, left.Count);
        Assert.Equal([2, 2, 2, 1], left.Select(letter => letter.GetProperty("attempts").GetInt32()));
    }

    [Fact]
    public async Task Before_any_redrive_there_is_none_to_read()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var problem = await host.GetAsync("/dead-letters/redrive", HttpStatusCode.NotFound);

        Assert.Equal("urn:daprorders:no-redrive", problem.GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_second_request_gets_the_job_that_is_running_also_at_another_instance()
    {
        var state = new StateInMemory();
        using var open = new SemaphoreSlim(0);
        var handled = new ConcurrentQueue<string>();
        await using var one = await StartAsync(state, app => Map(app, handled, open));
        await using var two = await StartAsync(state, app => Map(app, handled, open));
        await one.DeliverDeadAsync([.. Enumerable.Range(1, 5).Select(version => CloudEvent("a", version))]);

        var first = await JsonAsync(await one.Http.PostAsync("/dead-letters/redrive", null, Cancellation));
        var second = await JsonAsync(await two.Http.PostAsync("/dead-letters/redrive", null, Cancellation));
        open.Release(100);

        Assert.Equal(first.GetProperty("id").GetString(), second.GetProperty("id").GetString());
        Assert.Equal((5, 0), Counts(await DoneAsync(one)));
        Assert.Equal(["a:1", "a:2", "a:3", "a:4", "a:5"], handled);
    }

    [Fact]
    public async Task An_instance_that_ends_leaves_its_job_to_another_which_goes_on_where_it_was()
    {
        var state = new StateInMemory();
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(3);
        var killed = await StartAsync(state, app => Map(app, handled, open));
        await killed.DeliverDeadAsync([.. Enumerable.Range(1, 10).Select(version => CloudEvent("a", version))]);
        await killed.Http.PostAsync("/dead-letters/redrive", null, Cancellation);
        await killed.AdvanceUntilAsync(() => handled.Count == 3);
        await killed.DisposeAsync();

        open.Release(100);
        await using var host = await StartAsync(state, app => Map(app, handled, open));
        var report = await DoneAsync(host);

        Assert.Equal(Enumerable.Range(1, 10).Select(version => $"a:{version}"), handled);
        Assert.InRange(report.GetProperty("handled").GetInt32(), 7, 10);
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task While_the_store_is_away_the_job_waits_and_then_ends_as_if_nothing_had_been()
    {
        ServiceHost? host = null;
        await using var started = host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
        {
            if (events[0].Recorded.Id == "a:3" && !host!.Log.Any(line => line.Contains("waits for the store", StringComparison.Ordinal)))
                host.State.IsDown = true;
            return Task.CompletedTask;
        }));
        await host.DeliverDeadAsync([.. Enumerable.Range(1, 5).Select(version => CloudEvent("a", version))]);

        await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);
        await host.AdvanceUntilAsync(() => host.Log.Any(line => line.Contains("waits for the store", StringComparison.Ordinal)));
        host.State.IsDown = false;

        Assert.Equal((5, 0), Counts(await DoneAsync(host)));
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task Only_those_that_are_selected_are_redriven_and_what_is_gone_is_passed()
    {
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(100);
        await using var host = await StartAsync(app => Map(app, handled, open));
        await host.DeliverDeadAsync([.. Enumerable.Range(1, 250).Select(version => CloudEvent("a", version))]);
        var selected = Enumerable.Range(1, 250).Where(version => version % 2 == 0).ToList();
        open.Release(100);

        using var begun = await SelectAsync(host, [.. selected.Select(version => DeadLetterStore.IdOf($"a:{version}")), "gone"]);

        Assert.Equal((HttpStatusCode.Accepted, "/dead-letters/redrive"), (begun.StatusCode, begun.Headers.Location?.OriginalString));
        var report = await DoneAsync(host);
        Assert.Equal((125, 0), Counts(report));
        Assert.Equal(126, report.GetProperty("letters").GetInt32());
        Assert.Equal(selected.Select(version => $"a:{version}"), handled);
    }

    [Fact]
    public async Task While_one_redrive_is_under_way_one_of_other_letters_is_refused_and_the_same_is_told_again()
    {
        using var open = new SemaphoreSlim(0);
        await using var host = await StartAsync(app => Map(app, [], open));
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("a", 2), CloudEvent("a", 3));
        var (one, two) = (DeadLetterStore.IdOf("a:1"), DeadLetterStore.IdOf("a:2"));

        using var begun = await SelectAsync(host, one, two);
        using var again = await SelectAsync(host, two, one);
        using var others = await SelectAsync(host, one);
        using var all = await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);
        open.Release(100);

        Assert.Equal((await JsonAsync(begun)).GetProperty("id").GetString(), (await JsonAsync(again)).GetProperty("id").GetString());
        Assert.Equal((HttpStatusCode.Conflict, HttpStatusCode.Conflict), (others.StatusCode, all.StatusCode));
        Assert.Equal("urn:daprorders:redrive-running", (await JsonAsync(all)).GetProperty("type").GetString());
        Assert.Equal((2, 0), Counts(await DoneAsync(host)));
    }

    [Fact]
    public async Task A_redrive_of_some_goes_on_in_another_instance_with_the_same_ones()
    {
        var state = new StateInMemory();
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(2);
        var killed = await StartAsync(state, app => Map(app, handled, open));
        await killed.DeliverDeadAsync([.. Enumerable.Range(1, 6).Select(version => CloudEvent("a", version))]);
        using var begun = await SelectAsync(killed, [.. Enumerable.Range(1, 4).Select(version => DeadLetterStore.IdOf($"a:{version}"))]);
        await killed.AdvanceUntilAsync(() => handled.Count == 2);
        await killed.DisposeAsync();

        open.Release(100);
        await using var host = await StartAsync(state, app => Map(app, handled, open));
        await DoneAsync(host);

        Assert.Equal(["a:1", "a:2", "a:3", "a:4"], handled.Order());
        var act = Assert.Single((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray());
        Assert.Equal(("done", 4), (act.GetProperty("result").GetString(), act.GetProperty("letters").GetInt32()));
    }

    [Fact]
    public async Task Letters_that_a_replica_kept_whose_clock_is_ahead_are_redriven_as_any_other()
    {
        var state = new StateInMemory();
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(100);
        await using var ahead = await StartAsync(state, app => Map(app, handled, open));
        ahead.Time.Advance(TimeSpan.FromMinutes(7));
        await ahead.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("a", 2));
        await using var host = await StartAsync(state, app => Map(app, handled, open));

        await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);

        Assert.Equal((2, 0), Counts(await DoneAsync(host)));
        Assert.Equal(["a:1", "a:2"], handled);
    }

    [Fact]
    public async Task A_replica_whose_clock_is_ahead_leaves_a_job_to_the_one_that_does_it()
    {
        var state = new StateInMemory();
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(0);
        await using var ahead = await StartAsync(state, app => app.MapTopic("letters", "post", (events, _) =>
        {
            handled.Enqueue($"{events[0].Recorded.Id} by the other");
            return Task.CompletedTask;
        }));
        ahead.Time.Advance(TimeSpan.FromMinutes(7));
        await using var host = await StartAsync(state, app => Map(app, handled, open));
        await host.DeliverDeadAsync([.. Enumerable.Range(1, 5).Select(version => CloudEvent("a", version))]);
        await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);

        // It looks once a minute.
        for (var second = 0; second < 100; second++)
        {
            ahead.Time.Advance(TimeSpan.FromSeconds(1));
            await ahead.GetAsync("/dead-letters/redrive");
        }

        open.Release(100);
        Assert.Equal((5, 0), Counts(await DoneAsync(host)));
        Assert.Equal(["a:1", "a:2", "a:3", "a:4", "a:5"], handled);
    }

    [Fact]
    public async Task A_job_whose_instance_went_without_a_word_is_ended_by_another()
    {
        var state = new StateInMemory();
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(0);
        await using var silent = await StartAsync(state, app => Map(app, handled, open));
        await silent.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("a", 2));
        await silent.Http.PostAsync("/dead-letters/redrive", null, Cancellation);

        // Its clock stands still, and its first letter is never done.
        await using var host = await StartAsync(state, app => app.MapTopic("letters", "post", (events, _) =>
        {
            handled.Enqueue($"{events[0].Recorded.Id} by the other");
            return Task.CompletedTask;
        }));

        Assert.Equal((2, 0), Counts(await DoneAsync(host)));
        Assert.Equal(["a:1 by the other", "a:2 by the other"], handled);
    }

    [Fact]
    public async Task What_came_while_a_redrive_was_under_way_is_not_a_part_of_it()
    {
        var handled = new ConcurrentQueue<string>();
        using var open = new SemaphoreSlim(0);
        await using var host = await StartAsync(app => Map(app, handled, open));
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("a", 2));
        open.Release();
        await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);
        await host.AdvanceUntilAsync(() => handled.Count == 1);

        await host.DeliverDeadAsync(CloudEvent("a", 3));
        open.Release(100);

        Assert.Equal((2, 0), Counts(await DoneAsync(host)));
        Assert.Equal(["a:1", "a:2"], handled);
    }

    [Theory]
    [InlineData("""{"ids":[]}""", "ids")]
    [InlineData("""{"ids":["a","b|c"]}""", "ids[1]")]
    [InlineData("""{"ids":["a",null]}""", "ids[1]")]
    [InlineData("{}", "ids")]
    public async Task A_selection_that_is_none_is_refused_with_the_field_named(string body, string field)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        using var refused = await host.Http.PostAsync("/dead-letters/redrive/selected", new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var errors = (await JsonAsync(refused)).GetProperty("errors");
        Assert.True(errors.TryGetProperty(field, out _), errors.ToString());
    }

    private static Task<HttpResponseMessage> SelectAsync(ServiceHost host, params IReadOnlyList<string> ids) =>
        host.Http.PostAsJsonAsync("/dead-letters/redrive/selected", new { ids }, Cancellation);

    private static void Map(Microsoft.AspNetCore.Builder.WebApplication app, ConcurrentQueue<string> handled, SemaphoreSlim open) =>
        app.MapTopic("letters", "post", async (events, cancellation) =>
        {
            await open.WaitAsync(cancellation);
            foreach (var incoming in events)
                handled.Enqueue(incoming.Recorded.Id);
        });

    private static async Task<JsonElement> DoneAsync(ServiceHost host)
    {
        JsonElement report = default;
        await host.AdvanceUntilAsync(async () => (report = await host.GetAsync("/dead-letters/redrive")).GetProperty("status").GetString() == "done");
        return report;
    }

    private static (int Handled, int Failed) Counts(JsonElement report) =>
        (report.GetProperty("handled").GetInt32(), report.GetProperty("failed").GetInt32());
}
