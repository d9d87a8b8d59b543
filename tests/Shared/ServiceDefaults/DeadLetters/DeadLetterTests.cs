using System.Net;
using System.Text;
using System.Text.Json;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
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
    public async Task A_dead_letter_that_comes_twice_is_kept_once()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        await host.DeliverAsync("dead-letters", CloudEvent("a", 1));
        await host.DeliverManyAsync("dead-letters", CloudEvent("a", 1), CloudEvent("a", 1));

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
        await host.DeliverAsync("dead-letters", CloudEvent("a", 1));
        var path = $"/dead-letters/{DeadLetterStore.IdOf("a:1")}";

        var refused = await host.Http.PostAsync($"{path}/redrive", null, Cancellation);
        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Contains("The post office is closed.", (await JsonAsync(refused)).GetProperty("detail").GetString());
        Assert.Equal(1, (await host.GetAsync(path)).GetProperty("entry").GetProperty("attempts").GetInt32());

        isOpen = true;
        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{path}/redrive", null, Cancellation)).StatusCode);
        Assert.Equal(["a:1"], handled);
        await host.GetAsync(path, HttpStatusCode.NotFound);
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task Redriving_all_keeps_only_those_that_fail_again()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
            events[0].Recorded.Stream == "bad" ? throw new InvalidOperationException("still bad") : Task.CompletedTask));
        await host.DeliverManyAsync("dead-letters", CloudEvent("a", 1), CloudEvent("bad", 1), CloudEvent("b", 1), CloudEvent("x", 1, topic: "elsewhere"), "junk");

        var report = await JsonAsync(await host.Http.PostAsync("/dead-letters/redrive", null, Cancellation));

        Assert.Equal(2, report.GetProperty("handled").GetInt32());
        Assert.Equal(3, report.GetProperty("failed").GetArrayLength());
        Assert.Equal(3, (await host.GetAsync("/dead-letters")).GetProperty("deadLetters").GetArrayLength());
    }

    [Fact]
    public async Task The_list_is_read_page_by_page_oldest_first_however_long_it_is()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        var sent = Enumerable.Range(1, (2 * DeadLetterStore.IdsInPage) + 5).ToList();
        await host.DeliverManyAsync("dead-letters", [.. sent.Select(version => CloudEvent("a", version))]);

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
    public async Task Removing_everything_leaves_an_empty_list_that_can_grow_again()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverManyAsync("dead-letters", [.. Enumerable.Range(1, DeadLetterStore.IdsInPage + 1).Select(version => CloudEvent("a", version))]);

        for (var version = 1; version <= DeadLetterStore.IdsInPage + 1; version++)
        {
            var response = await host.Http.DeleteAsync($"/dead-letters/{DeadLetterStore.IdOf($"a:{version}")}", Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        }

        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        await host.DeliverAsync("dead-letters", CloudEvent("b", 1));
        Assert.Single((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Theory]
    [InlineData("/dead-letters?limit=0", "limit")]
    [InlineData("/dead-letters?limit=501", "limit")]
    [InlineData("/dead-letters?limit=ten", "limit")]
    [InlineData("/dead-letters?cursor=x", "cursor")]
    [InlineData("/dead-letters?cursor=-1.a", "cursor")]
    public async Task A_bad_query_is_refused_with_the_field_named(string path, string field)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var problem = await host.GetAsync(path, HttpStatusCode.BadRequest);

        Assert.Equal("urn:daprorders:invalid-request", problem.GetProperty("type").GetString());
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.ToString());
    }

    [Theory]
    [InlineData("GET", "/dead-letters/nosuch")]
    [InlineData("DELETE", "/dead-letters/nosuch")]
    [InlineData("POST", "/dead-letters/nosuch/redrive")]
    [InlineData("GET", "/dead-letters/a%7C%7Cb")]
    public async Task An_unknown_dead_letter_is_not_found(string method, string path)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var response = await host.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path), Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("urn:daprorders:dead-letter-not-found", (await JsonAsync(response)).GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_dead_letter_that_cannot_be_kept_now_is_delivered_again()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        host.State.IsDown = true;

        Assert.Equal("RETRY", await host.DeliverAsync("dead-letters", CloudEvent("a", 1)));
    }

    [Fact]
    public async Task A_store_that_takes_no_note_of_a_failure_does_not_hide_it()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("closed")));
        host.State.IsDown = true;

        Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));
    }
}
