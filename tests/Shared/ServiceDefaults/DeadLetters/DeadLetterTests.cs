using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.DependencyInjection;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.DeadLetters;

public sealed class DeadLetterTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_dead_letter_tells_how_often_it_was_tried_and_why_it_failed()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) =>
            throw new InvalidOperationException("The post office is closed.", new TimeoutException("No answer."))));
        for (var attempt = 0; attempt < 3; attempt++)
            Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));

        Assert.Equal("SUCCESS", await host.DeliverAsync("dead-letters", CloudEvent("a", 1)));

        var entry = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal("a:1", entry.GetProperty("eventId").GetString());
        Assert.Equal("letters", entry.GetProperty("topic").GetString());
        Assert.Equal(3, entry.GetProperty("attempts").GetInt32());
        Assert.Equal("InvalidOperationException: The post office is closed. <- TimeoutException: No answer.", entry.GetProperty("error").GetString());
        var details = await host.GetAsync($"/dead-letters/{entry.GetProperty("id").GetString()}");
        Assert.Equal(
            JsonSerializer.Serialize(CloudEvent("a", 1)),
            JsonSerializer.Serialize(details.GetProperty("message")));
    }

    [Fact]
    public async Task What_never_reached_its_handler_is_no_dead_letter_but_handled_when_it_comes_as_one()
    {
        var handled = new List<string>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
        {
            handled.AddRange(events.Select(incoming => incoming.Recorded.Id));
            return Task.CompletedTask;
        }));

        await host.DeliverAsync("dead-letters", CloudEvent("a", 1));

        Assert.Equal(["a:1"], handled);
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task What_never_reached_its_handler_and_fails_there_is_kept_with_the_reason()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("The post office is closed.")));

        await host.DeliverAsync("dead-letters", CloudEvent("a", 1));

        var entry = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal(
            ("InvalidOperationException: The post office is closed.", 1),
            (entry.GetProperty("error").GetString(), entry.GetProperty("attempts").GetInt32()));
    }

    [Fact]
    public async Task A_message_that_only_names_an_event_does_not_take_the_place_of_its_letter()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("a", 1));

        await host.DeliverAsync("dead-letters", new { id = "a:1", topic = "letters", source = "post", data = "rubbish" });
        await host.DeliverAsync("dead-letters", new { id = "a:1", topic = "elsewhere" });

        var details = await host.GetAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}");
        Assert.Equal(JsonSerializer.Serialize(CloudEvent("a", 1)), JsonSerializer.Serialize(details.GetProperty("message")));
    }

    [Fact]
    public async Task What_only_wakes_a_follower_of_the_log_is_no_dead_letter()
    {
        await using var host = await StartAsync(app => app.MapWakeUp("parcels", "post", () => { }, _ => Task.CompletedTask));

        await host.DeliverAsync("dead-letters", CloudEvent("b", 1, "parcels"));

        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task A_dead_letter_that_comes_twice_is_kept_once()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        await host.DeliverDeadAsync(CloudEvent("a", 1));
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("a", 1));

        Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Theory]
    [InlineData("no JSON at all")]
    [InlineData("[1,2]")]
    [InlineData("{}")]
    [InlineData("")]
    public async Task A_message_that_is_no_CloudEvent_is_kept_whole(string body)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var response = await host.Http.PostAsync("/events/dead-letters", new StringContent(body, Encoding.UTF8, "text/plain"), Cancellation);

        Assert.Equal("SUCCESS", (await JsonAsync(response)).GetProperty("status").GetString());
        var entry = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        var message = (await host.GetAsync($"/dead-letters/{entry.GetProperty("id").GetString()}")).GetProperty("message");
        Assert.Equal(body, message.ValueKind == JsonValueKind.String ? message.GetString() : message.GetRawText());
    }

    [Fact]
    public async Task A_redrive_goes_through_the_same_handler_and_removes_what_it_handled()
    {
        var (isOpen, handled) = (false, new List<string>());
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
        {
            if (!isOpen)
                throw new InvalidOperationException("The post office is closed.");
            handled.AddRange(events.Select(incoming => incoming.Recorded.Id));
            return Task.CompletedTask;
        }));
        await host.DeliverDeadAsync(CloudEvent("a", 1));
        var path = $"/dead-letters/{DeadLetterStore.IdOf("a:1")}";

        var refused = await host.Http.PostAsync($"{path}/redrive", null, Cancellation);
        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Contains("The post office is closed.", (await JsonAsync(refused)).GetProperty("detail").GetString());
        Assert.Equal(2, (await host.GetAsync(path)).GetProperty("entry").GetProperty("attempts").GetInt32());

        isOpen = true;
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{path}/redrive", null, Cancellation)).StatusCode);
        Assert.Equal(["a:1"], handled);
        await host.GetAsync(path, HttpStatusCode.NotFound);
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task The_list_is_read_page_by_page_oldest_first_however_long_it_is()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        var sent = Enumerable.Range(1, (2 * PagedDocuments<DeadLetter>.IdsInPage) + 5).ToList();
        await host.DeliverDeadAsync([.. sent.Select(version => CloudEvent("a", version))]);

        var listed = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await host.GetAsync($"/dead-letters?limit=30{(cursor is null ? "" : $"&cursor={cursor}")}");
            Assert.InRange(page.GetProperty("deadLetters").GetArrayLength(), 1, 30);
            listed.AddRange(page.GetProperty("deadLetters").EnumerateArray().Select(item => item.GetProperty("eventId").GetString()));
            cursor = page.GetProperty("cursor").GetString();
        }
        while (cursor is not null);

        Assert.Equal(sent.Select(version => $"a:{version}"), listed);
    }

    [Fact]
    public async Task Lists_and_counts_are_read_without_the_messages()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        var large = CloudEvent("a", 1);
        large["data"] = new { id = "a", to = new string('x', 100_000) };
        await host.DeliverDeadAsync(large, CloudEvent("a", 2));
        await host.DeliverDeadAsync(large);
        var read = new ConcurrentBag<int>();
        host.State.Read = (_, json) => read.Add(json.Length);

        await host.GetAsync("/dead-letters");
        await host.GetAsync("/dead-letters/counts");
        await host.GetAsync("/dead-letters/failures?stream=a");

        Assert.NotEmpty(read);
        Assert.All(read, length => Assert.InRange(length, 1, 10_000));
        host.State.Read = (_, _) => { };
        var message = (await host.GetAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}")).GetProperty("message");
        Assert.Equal(JsonSerializer.Serialize(large), JsonSerializer.Serialize(message));
    }

    [Fact]
    public async Task A_letter_that_an_earlier_version_kept_with_its_message_is_shown_and_redriven()
    {
        var handled = new List<string>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
        {
            handled.AddRange(events.Select(incoming => incoming.Recorded.Id));
            return Task.CompletedTask;
        }));
        await host.DeliverDeadAsync(CloudEvent("a", 1));
        var path = $"/dead-letters/{DeadLetterStore.IdOf("a:1")}";
        var letter = (await host.Services.GetRequiredService<DeadLetterStore>().FindAsync(DeadLetterStore.IdOf("a:1"), Cancellation))!;
        await host.Services.GetRequiredService<Documents>().DeleteAsync($"dead-letters|message|{letter.Id}", Cancellation);
        host.State.Put($"dead-letters|letter|{letter.Id}", letter with { Message = JsonSerializer.SerializeToElement(CloudEvent("a", 1)) });

        Assert.Equal("a:1", (await host.GetAsync(path)).GetProperty("message").GetProperty("id").GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{path}/redrive", null, Cancellation)).StatusCode);
        Assert.Equal(["a:1"], handled);
    }

    [Fact]
    public async Task Nothing_of_a_letter_is_left_when_it_is_gone()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("a", 1));
        Assert.Contains(host.State.Keys, key => key.StartsWith("dead-letters|message|", StringComparison.Ordinal));

        await host.Http.PostAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}/redrive", null, Cancellation);

        Assert.DoesNotContain(host.State.Keys, key => key.StartsWith("dead-letters|message|", StringComparison.Ordinal) || key.StartsWith("dead-letters|letter|", StringComparison.Ordinal));
    }

    [Fact]
    public async Task They_are_counted_by_what_their_reasons_have_in_common_with_the_first_and_the_last_time()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) => events[0].Recorded.Stream == "x"
            ? throw new InvalidOperationException("Closed.")
            : throw new InvalidOperationException($"SKU {events[0].Recorded.Version} of order-0192a8f3e1d7 is unknown")));
        var first = host.Time.GetUtcNow();
        await DieAsync("a", 1);
        await DieAsync("x", 1);
        host.Time.Advance(TimeSpan.FromMinutes(2));
        await DieAsync("a", 2);

        var counts = await host.GetAsync("/dead-letters/counts");

        Assert.Equal((3, JsonValueKind.Null), (counts.GetProperty("letters").GetInt32(), counts.GetProperty("cursor").ValueKind));
        Assert.Equal(
            [("InvalidOperationException: SKU … of … is unknown", "letters", 2, first, first.AddMinutes(2)), ("InvalidOperationException: Closed.", "letters", 1, first, first)],
            counts.GetProperty("groups").EnumerateArray().Select(group => (
                group.GetProperty("reason").GetString()!, group.GetProperty("topic").GetString()!, group.GetProperty("count").GetInt32(),
                group.GetProperty("first").GetDateTimeOffset(), group.GetProperty("last").GetDateTimeOffset())));

        async Task DieAsync(string stream, long version)
        {
            await host.DeliverAsync("letters", CloudEvent(stream, version));
            await host.DeliverAsync("dead-letters", CloudEvent(stream, version));
        }
    }

    [Fact]
    public async Task Of_very_many_one_answer_counts_a_part_and_says_where_the_rest_begins()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync([.. Enumerable.Range(1, DeadLetterStore.MostCounted + 5).Select(version => CloudEvent("a", version))]);

        var counts = await host.GetAsync("/dead-letters/counts");
        var rest = await host.GetAsync($"/dead-letters/counts?cursor={counts.GetProperty("cursor").GetString()}");

        Assert.Equal((DeadLetterStore.MostCounted, 5), (counts.GetProperty("letters").GetInt32(), rest.GetProperty("letters").GetInt32()));
        Assert.Equal(JsonValueKind.Null, rest.GetProperty("cursor").ValueKind);
    }

    [Fact]
    public async Task What_failed_of_some_streams_is_told_event_by_event_whether_it_is_a_dead_letter_or_comes_again()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("Closed.")));
        var first = host.Time.GetUtcNow();
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        host.Time.Advance(TimeSpan.FromSeconds(3));
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        await host.DeliverAsync("letters", CloudEvent("b", 2));
        await host.DeliverAsync("dead-letters", CloudEvent("b", 2));
        await host.DeliverAsync("letters", CloudEvent("c", 1));

        var failures = (await host.GetAsync("/dead-letters/failures?stream=b&stream=a")).GetProperty("failures").EnumerateArray().ToList();

        Assert.Equal(
            [("b:2", 1, "deadLetter", DeadLetterStore.IdOf("b:2")), ("a:1", 2, "open", null)],
            failures.Select(failure => (
                failure.GetProperty("eventId").GetString()!, failure.GetProperty("attempts").GetInt32(), failure.GetProperty("outcome").GetString()!, failure.GetProperty("deadLetterId").GetString())));
        Assert.Equal(
            (first, first.AddSeconds(3), "InvalidOperationException: Closed."),
            (failures[1].GetProperty("firstAt").GetDateTimeOffset(), failures[1].GetProperty("lastAt").GetDateTimeOffset(), failures[1].GetProperty("error").GetString()));
        Assert.Empty((await host.GetAsync("/dead-letters/failures?stream=b&from=3&to=5")).GetProperty("failures").EnumerateArray());
    }

    [Fact]
    public async Task What_failed_of_four_streams_costs_two_calls_of_the_store_however_many_letters_there_are()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync([.. Enumerable.Range(1, 300).Select(version => CloudEvent("other", version))]);
        var reads = host.State.BulkReads;
        host.State.Mock.Invocations.Clear();

        await host.GetAsync("/dead-letters/failures?stream=a&stream=b&stream=c&stream=d&to=12");

        Assert.Equal(2, host.State.BulkReads - reads);
        Assert.DoesNotContain(host.State.Mock.Invocations, call => call.Method.Name.StartsWith("GetState", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Removing_everything_leaves_an_empty_list_that_can_grow_again()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync([.. Enumerable.Range(1, PagedDocuments<DeadLetter>.IdsInPage + 1).Select(version => CloudEvent("a", version))]);

        for (var version = 1; version <= PagedDocuments<DeadLetter>.IdsInPage + 1; version++)
        {
            var response = await host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf($"a:{version}")}/discard", new { }, Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        }

        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        await host.DeliverDeadAsync(CloudEvent("b", 1));
        Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Theory]
    [InlineData("/dead-letters?limit=0", "limit")]
    [InlineData("/dead-letters?limit=501", "limit")]
    [InlineData("/dead-letters?limit=ten", "limit")]
    [InlineData("/dead-letters?cursor=x", "cursor")]
    [InlineData("/dead-letters?cursor=-1.a", "cursor")]
    [InlineData("/dead-letters/counts?cursor=x", "cursor")]
    [InlineData("/dead-letters/failures", "stream")]
    [InlineData("/dead-letters/failures?stream=", "stream")]
    [InlineData("/dead-letters/failures?stream=a&stream=a&stream=a&stream=a&stream=a&stream=a&stream=a&stream=a&stream=a", "stream")]
    [InlineData("/dead-letters/failures?stream=a&from=0", "from")]
    [InlineData("/dead-letters/failures?stream=a&from=9&to=8", "to")]
    [InlineData("/dead-letters/failures?stream=a&from=1&to=101", "to")]
    public async Task A_bad_query_is_refused_with_the_field_named(string path, string field)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var problem = await host.GetAsync(path, HttpStatusCode.BadRequest);

        Assert.Equal("urn:daprorders:invalid-request", problem.GetProperty("type").GetString());
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.ToString());
    }

    [Theory]
    [InlineData("GET", "/dead-letters/nosuch")]
    [InlineData("POST", "/dead-letters/nosuch/discard")]
    [InlineData("POST", "/dead-letters/nosuch/redrive")]
    [InlineData("GET", "/dead-letters/a%7C%7Cb")]
    public async Task An_unknown_dead_letter_is_not_found(string method, string path)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var response = await host.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path) { Content = path.EndsWith("discard", StringComparison.Ordinal) ? JsonContent.Create(new { }) : null }, Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("urn:daprorders:dead-letter-not-found", (await JsonAsync(response)).GetProperty("type").GetString());
    }

    [Fact]
    public async Task While_the_store_is_away_a_dead_letter_is_not_answered_and_then_it_is_kept()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("closed")));
        host.State.IsDown = true;

        var answer = host.DeliverAsync("dead-letters", CloudEvent("a", 1));
        await host.AdvanceUntilAsync(() => host.Log.Any(line => line.Contains("waits for the store", StringComparison.Ordinal)));
        Assert.False(answer.IsCompleted);

        host.State.IsDown = false;
        await host.AdvanceUntilAsync(() => answer.IsCompleted);
        Assert.Equal("SUCCESS", await answer);
        Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task A_dead_letter_that_cannot_be_kept_is_left_when_the_sidecar_hangs_up()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("closed")));
        host.State.IsDown = true;
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var delivery = host.Http.PostAsJsonAsync("/events/dead-letters", CloudEvent("a", 1), timeout.Token);
        await host.AdvanceUntilAsync(() => host.Log.Any(line => line.Contains("waits for the store", StringComparison.Ordinal)));

        await timeout.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delivery);

        host.State.IsDown = false;
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task After_an_outage_of_the_store_a_dead_letter_still_tells_why_it_failed_and_how_often()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("The post office is closed.")));
        host.State.IsDown = true;
        for (var attempt = 0; attempt < 3; attempt++)
            Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));
        host.State.IsDown = false;

        Assert.Equal("SUCCESS", await host.DeliverAsync("dead-letters", CloudEvent("a", 1)));

        var entry = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal("InvalidOperationException: The post office is closed.", entry.GetProperty("error").GetString());
        Assert.Equal(3, entry.GetProperty("attempts").GetInt32());
    }

    [Fact]
    public async Task The_reason_of_a_failure_reaches_the_store_once_it_is_back_so_that_another_instance_tells_it()
    {
        var state = new StateInMemory();
        await using var host = await StartAsync(state, app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("closed")));
        await using var other = await StartAsync(state, app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        state.IsDown = true;
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        state.IsDown = false;

        var failures = other.Services.GetRequiredService<FailureLog>();
        await host.AdvanceUntilAsync(async () => (await failures.FindAsync("a:1", Cancellation))?.Attempts == 3);

        await other.DeliverAsync("dead-letters", CloudEvent("a", 1));
        var entry = Assert.Single((await other.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal(("InvalidOperationException: closed", 3), (entry.GetProperty("error").GetString(), entry.GetProperty("attempts").GetInt32()));
    }

    [Fact]
    public async Task The_memory_of_failures_is_bounded_and_the_latest_stay()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        var failures = host.Services.GetRequiredService<FailureLog>();
        host.State.IsDown = true;
        for (var i = 0; i < FailureLog.MostUnwritten + 5; i++)
            await failures.RecordAsync($"e:{i}", new InvalidOperationException("closed"));
        host.State.IsDown = false;

        Assert.Null(await failures.FindAsync("e:0", Cancellation));
        Assert.NotNull(await failures.FindAsync($"e:{FailureLog.MostUnwritten + 4}", Cancellation));
    }

    [Fact]
    public async Task What_failed_by_an_outage_is_handled_when_it_comes_as_a_dead_letter_after_it()
    {
        var isAway = true;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) =>
            isAway ? throw new EventStoreUnavailableException("The store is away.") : Task.CompletedTask));
        await host.DeliverAsync("letters", CloudEvent("a", 1));

        isAway = false;
        Assert.Equal("SUCCESS", await host.DeliverAsync("dead-letters", CloudEvent("a", 1)));

        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task What_fails_again_when_it_comes_as_a_dead_letter_is_kept_with_its_last_reason()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new HttpRequestException("Nobody answers.")));
        await host.DeliverAsync("letters", CloudEvent("a", 1));

        Assert.Equal("SUCCESS", await host.DeliverAsync("dead-letters", CloudEvent("a", 1)));

        var entry = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal(("HttpRequestException: Nobody answers.", 2), (entry.GetProperty("error").GetString(), entry.GetProperty("attempts").GetInt32()));
    }

    [Fact]
    public async Task A_letter_whose_event_came_another_way_is_taken_off()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("a", 1), CloudEvent("a", 2), CloudEvent("b", 1));
        var letters = host.Services.GetRequiredService<DeadLetterStore>();

        Assert.Equal(2, await letters.TakeOffAsync(["a:1", "b:1", "c:1"], Cancellation));

        var left = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal("a:2", left.GetProperty("eventId").GetString());
        Assert.Equal(0, await letters.TakeOffAsync(["a:1", "b:1", "c:1"], Cancellation));
    }

    [Fact]
    public async Task While_there_are_no_letters_taking_off_costs_the_same_for_one_event_and_for_a_thousand()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        host.State.Mock.Invocations.Clear();

        await host.Services.GetRequiredService<DeadLetterStore>().TakeOffAsync([.. Enumerable.Range(0, 1000).Select(i => $"a:{i}")], Cancellation);

        Assert.Equal(2, host.State.Mock.Invocations.Count(call => call.Method.Name.StartsWith("GetState", StringComparison.Ordinal)));
        Assert.DoesNotContain(host.State.Mock.Invocations, call => call.Method.Name.StartsWith("GetBulk", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_event_that_was_given_up_elsewhere_is_kept_with_its_reason_and_can_be_redriven()
    {
        var handled = new List<string>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
        {
            handled.AddRange(events.Select(incoming => incoming.Recorded.Id));
            return Task.CompletedTask;
        }));

        await host.Services.GetRequiredService<DeadLetterStore>().KeepAsync(
            JsonSerializer.SerializeToElement(CloudEvent("a", 1)), "InvalidOperationException: still bad", 6, Cancellation);

        var entry = Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal(("InvalidOperationException: still bad", 6), (entry.GetProperty("error").GetString(), entry.GetProperty("attempts").GetInt32()));
        var redriven = await host.Http.PostAsync($"/dead-letters/{entry.GetProperty("id").GetString()}/redrive", null, Cancellation);
        Assert.Equal((HttpStatusCode.NoContent, "a:1"), (redriven.StatusCode, Assert.Single(handled)));
    }

    [Fact]
    public async Task That_a_letter_was_given_up_stays_on_record()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("closed")));
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        await host.DeliverAsync("dead-letters", CloudEvent("a", 1));

        var removed = await host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}/discard", new { reason = "sent by hand" }, Cancellation);

        Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        var record = Assert.Single((await host.GetAsync("/dead-letters/removed")).GetProperty("removed").EnumerateArray());
        Assert.Equal("a:1", record.GetProperty("eventId").GetString());
        Assert.Equal("letters", record.GetProperty("topic").GetString());
        Assert.Equal("LetterSent", record.GetProperty("type").GetString());
        Assert.Equal("sent by hand", record.GetProperty("reason").GetString());
        Assert.Equal("InvalidOperationException: closed", record.GetProperty("error").GetString());
        Assert.Equal(host.Time.GetUtcNow(), record.GetProperty("removedAt").GetDateTimeOffset());
    }

    [Theory]
    [InlineData("")]
    [InlineData("\u0007")]
    public async Task A_reason_that_is_no_text_is_refused_and_the_letter_stays(string reason)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverDeadAsync(CloudEvent("a", 1));

        using var refused = await host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}/discard", new { reason }, Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.True((await JsonAsync(refused)).GetProperty("errors").TryGetProperty("reason", out _));
        Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task A_store_that_takes_no_note_of_a_failure_does_not_hide_it()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("closed")));
        host.State.IsDown = true;

        Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));
    }
}
