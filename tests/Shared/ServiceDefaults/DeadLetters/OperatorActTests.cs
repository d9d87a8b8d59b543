using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Dapr;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.DependencyInjection;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.DeadLetters;

/// <summary>Who did what about dead letters is kept.</summary>
public sealed class OperatorActTests
{
    private static readonly string Letter = $"/dead-letters/{DeadLetterStore.IdOf("a:1")}";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_act_is_on_record_with_who_when_and_what_came_of_it_newest_first()
    {
        var isOpen = false;
        await using var host = await StartAsync(
            app => app.MapTopic("letters", "post", (_, _) => isOpen ? Task.CompletedTask : throw new InvalidOperationException("The post office is closed.")),
            BearerTokens.Settings);
        host.Http.DefaultRequestHeaders.Add("dapr-api-token", BearerTokens.AppToken);
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("b", 1));
        host.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", BearerTokens.Of("ann", "operator"));

        Assert.Equal(HttpStatusCode.Conflict, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
        isOpen = true;
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
        host.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", BearerTokens.Of("bob", "operator"));
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf("b:1")}/discard", new { reason = "a test" }, Cancellation)).StatusCode);

        var acts = (await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray().ToList();
        Assert.Equal(
            [("discard", "givenUp", "bob", "b:1", "a test"), ("redrive", "handled", "ann", "a:1", null), ("redrive", "failed", "ann", "a:1", null)],
            acts.Select(act => (Text(act, "kind"), Text(act, "result"), Text(act, "by"), Text(act, "eventId"), Text(act, "reason"))));
        Assert.Equal("InvalidOperationException: The post office is closed.", Text(acts[2], "error"));
        Assert.All(acts, act => Assert.Equal(host.Time.GetUtcNow(), act.GetProperty("at").GetDateTimeOffset()));
    }

    [Fact]
    public async Task A_process_that_is_killed_while_it_redrives_leaves_the_attempt_on_record()
    {
        var state = new StateInMemory();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var killed = await StartAsync(state, app => app.MapTopic("letters", "post", async (_, cancellation) =>
        {
            asked.SetResult();
            await Task.Delay(Timeout.Infinite, cancellation);
        }));
        await killed.DeliverDeadAsync(CloudEvent("a", 1));
        using var hangUp = new CancellationTokenSource();
        var redrive = killed.Http.PostAsync($"{Letter}/redrive", null, hangUp.Token);
        await asked.Task.WaitAsync(Cancellation);
        // From here on it writes nothing any more.
        state.BeforeSave = _ => throw new InvalidOperationException("killed");
        await hangUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => redrive);
        await killed.DisposeAsync();
        state.BeforeSave = _ => { };

        await using var host = await StartAsync(state, app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var act = Assert.Single((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray());
        Assert.Equal(("begun", JsonValueKind.Null, "a:1"), (Text(act, "result"), act.GetProperty("endedAt").ValueKind, Text(act, "eventId")));
        // It may still be at work, for all that anybody can tell.
        Assert.Equal(HttpStatusCode.Conflict, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
        host.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
    }

    /// <summary>Else it would be on record as handled, and as given up.</summary>
    [Theory]
    [InlineData("redrive", HttpStatusCode.NoContent)]
    [InlineData("edited-redrive", HttpStatusCode.OK)]
    public async Task While_one_act_about_a_letter_is_under_way_there_is_no_other(string first, HttpStatusCode expected)
    {
        var (asked, answered) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) =>
        {
            asked.SetResult();
            return answered.Task;
        }));
        await host.DeliverDeadAsync(CloudEvent("a", 1));
        var handling = ActAsync(first);
        await asked.Task.WaitAsync(Cancellation);

        foreach (var other in new[] { "redrive", "edited-redrive", "discard" })
        {
            using var refused = await ActAsync(other);
            Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
            Assert.Equal("urn:daprorders:letter-taken", Text(await JsonAsync(refused), "type"));
        }

        answered.SetResult();
        Assert.Equal(expected, (await handling).StatusCode);
        Assert.Equal("handled", Text(Assert.Single((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray()), "result"));
        Assert.Equal(HttpStatusCode.NotFound, (await ActAsync("discard")).StatusCode);

        Task<HttpResponseMessage> ActAsync(string act) => act == "redrive"
            ? host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)
            : host.Http.PostAsJsonAsync($"{Letter}/{act}", new { data = new { id = "a", to = "Bob" }, reason = "r" }, Cancellation);
    }

    [Fact]
    public async Task An_act_that_failed_leaves_the_letter_to_the_next()
    {
        var failures = 2;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => failures-- > 0 ? throw new InvalidOperationException("not yet") : Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("a", 1));

        Assert.Equal(HttpStatusCode.Conflict, (await host.Http.PostAsJsonAsync($"{Letter}/edited-redrive", new { data = new { id = "a", to = "Bob" }, reason = "r" }, Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.Conflict, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
    }

    [Fact]
    public async Task What_cannot_be_noted_is_not_done()
    {
        var handled = 0;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.FromResult(handled++)));
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("b", 1), CloudEvent("c", 1));
        host.State.BeforeSave = keys =>
        {
            if (keys.Any(key => key.StartsWith("dead-letters|act", StringComparison.Ordinal)))
                throw new DaprException("The disk is full.");
        };

        var answers = await Task.WhenAll(
            host.Http.PostAsync($"{Letter}/redrive", null, Cancellation),
            host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf("b:1")}/edited-redrive", new { data = new { id = "b", to = "Bob" }, reason = "r" }, Cancellation),
            host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf("c:1")}/discard", new { }, Cancellation));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode));
        Assert.Equal(0, handled);
        Assert.Equal(3, (await host.GetAsync("/dead-letters")).GetProperty("deadLetters").GetArrayLength());
    }

    [Fact]
    public async Task A_redrive_of_many_is_one_act_with_its_counts_and_its_last_failure()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
            events[0].Recorded.Stream == "bad" ? throw new InvalidOperationException("still bad") : Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("bad", 1), CloudEvent("b", 1));

        using var begun = await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation);

        JsonElement act = default;
        await host.AdvanceUntilAsync(async () =>
            (await host.GetAsync("/dead-letters/acts")).GetProperty("acts") is { } acts && acts.GetArrayLength() == 1 && Text(act = acts[0], "result") == "done");
        Assert.Equal(Text(await JsonAsync(begun), "id"), Text(act, "id"));
        Assert.Equal(
            ("redriveOfMany", 2, 1, "InvalidOperationException: still bad"),
            (Text(act, "kind"), act.GetProperty("done").GetInt32(), act.GetProperty("failed").GetInt32(), Text(act, "error")));
    }

    [Fact]
    public async Task The_record_is_read_page_by_page_and_only_the_latest_stay()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        var acts = new OperatorActs(host.Services.GetRequiredService<Documents>(), host.Time) { MostPages = 1 };
        await host.DeliverDeadAsync(CloudEvent("a", 1));
        var letter = (await host.Services.GetRequiredService<DeadLetterStore>().FindAsync(DeadLetterStore.IdOf("a:1"), Cancellation))!;
        var message = JsonSerializer.SerializeToElement(CloudEvent("a", 1));
        var ids = Enumerable.Range(0, 250).Select(i => $"act-{i:000}").ToList();
        foreach (var id in ids)
        {
            await acts.KeepEditAsync(id, new EditedMessage(message, message), Cancellation);
            await acts.BeginAsync(id, ActKinds.EditedRedrive, letter, "ann", "r", Cancellation);
        }

        var listed = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await host.GetAsync($"/dead-letters/acts?limit=30{(cursor is null ? "" : $"&cursor={cursor}")}");
            listed.AddRange(page.GetProperty("acts").EnumerateArray().Select(act => Text(act, "id")));
            cursor = page.GetProperty("cursor").GetString();
        }
        while (cursor is not null);

        Assert.InRange(listed.Count, 100, 200);
        Assert.Equal(ids.AsEnumerable().Reverse().Take(listed.Count), listed);
        Assert.Equal(listed.Count, host.State.Keys.Count(key => key.StartsWith("dead-letters|edit|", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("/dead-letters/acts?limit=0", HttpStatusCode.BadRequest)]
    [InlineData("/dead-letters/acts?cursor=x", HttpStatusCode.BadRequest)]
    [InlineData("/dead-letters/acts/nosuch", HttpStatusCode.NotFound)]
    public async Task What_is_asked_wrongly_of_the_record_is_refused(string path, HttpStatusCode expected)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        await host.GetAsync(path, expected);
    }

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
