using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.DeadLetters;

/// <summary>How often an event was tried before it was handled is known afterwards; what is handled at once costs nothing.</summary>
public sealed class RetriedEventTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_failed_twice_and_was_handled_then_tells_so()
    {
        var left = 2;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => left-- > 0 ? throw new InvalidOperationException("Closed.") : Task.CompletedTask));
        Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));
        Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));
        host.Time.Advance(TimeSpan.FromSeconds(4));

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("a", 1)));

        var failure = await FailureAsync(host);
        Assert.Equal(
            (2, "handled", "InvalidOperationException: Closed.", host.Time.GetUtcNow()),
            (failure.GetProperty("attempts").GetInt32(), Outcome(failure), failure.GetProperty("error").GetString(), failure.GetProperty("endedAt").GetDateTimeOffset()));
    }

    [Fact]
    public async Task What_is_handled_at_once_asks_the_store_for_nothing()
    {
        var fails = true;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => fails ? throw new InvalidOperationException("Closed.") : Task.CompletedTask));
        await host.DeliverAsync("letters", CloudEvent("other", 1));
        fails = false;
        var reads = host.State.BulkReads;
        host.State.Mock.Invocations.Clear();

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("a", 1)));

        Assert.Equal(reads, host.State.BulkReads);
        Assert.DoesNotContain(host.State.Mock.Invocations, call => call.Arguments.Any(argument => argument is string text && text.Contains("dead-letters", StringComparison.Ordinal)));
        Assert.Empty((await host.GetAsync("/dead-letters/failures?stream=a")).GetProperty("failures").EnumerateArray());
    }

    [Fact]
    public async Task What_another_instance_has_handled_is_left_open()
    {
        var state = new StateInMemory();
        await using var one = await StartAsync(state, app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("Closed.")));
        await using var other = await StartAsync(state, app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await one.DeliverAsync("letters", CloudEvent("a", 1));

        await other.DeliverAsync("letters", CloudEvent("a", 1));

        Assert.Equal("open", Outcome(await FailureAsync(other)));
    }

    [Fact]
    public async Task What_was_handled_and_fails_when_it_comes_once_more_is_counted_anew()
    {
        var fails = true;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => fails ? throw new InvalidOperationException("Closed.") : Task.CompletedTask));
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        fails = false;
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        fails = true;

        await host.DeliverAsync("letters", CloudEvent("a", 1));

        var failure = await FailureAsync(host);
        Assert.Equal((1, "open", JsonValueKind.Null), (failure.GetProperty("attempts").GetInt32(), Outcome(failure), failure.GetProperty("endedAt").ValueKind));
    }

    [Fact]
    public async Task While_the_store_takes_no_notes_what_came_of_it_is_written_later()
    {
        var fails = true;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => fails ? throw new InvalidOperationException("Closed.") : Task.CompletedTask));
        host.State.IsDown = true;
        await host.DeliverAsync("letters", CloudEvent("a", 1));
        fails = false;
        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("a", 1)));
        Assert.DoesNotContain(host.State.Keys, key => key.StartsWith("dead-letters|failure|", StringComparison.Ordinal));

        host.State.IsDown = false;
        await host.AdvanceUntilAsync(() => host.State.Keys.Any(key => key.StartsWith("dead-letters|failure|", StringComparison.Ordinal)));

        var failure = await FailureAsync(host);
        Assert.Equal((1, "handled"), (failure.GetProperty("attempts").GetInt32(), Outcome(failure)));
    }

    [Fact]
    public async Task A_dead_letter_that_was_redriven_or_given_up_leaves_how_often_it_was_tried()
    {
        var fails = true;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => fails ? throw new InvalidOperationException("Closed.") : Task.CompletedTask));
        foreach (var stream in new[] { "a", "b" })
        {
            await host.DeliverAsync("letters", CloudEvent(stream, 1));
            await host.DeliverAsync("letters", CloudEvent(stream, 1));
            await host.DeliverAsync("dead-letters", CloudEvent(stream, 1));
        }

        fails = false;
        await host.Http.PostAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}/redrive", null, Cancellation);
        await host.Http.PostAsync($"/dead-letters/{DeadLetterStore.IdOf("b:1")}/discard", null, Cancellation);

        var failures = (await host.GetAsync("/dead-letters/failures?stream=a&stream=b")).GetProperty("failures").EnumerateArray().ToList();
        Assert.Equal([("a:1", 2, "handled"), ("b:1", 2, "givenUp")], failures.Select(failure => (
            failure.GetProperty("eventId").GetString()!, failure.GetProperty("attempts").GetInt32(), Outcome(failure)!)));
    }

    [Fact]
    public async Task To_give_up_what_only_names_an_event_says_nothing_of_that_event()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        await host.DeliverAsync("dead-letters", new { id = "a:1", topic = "letters", source = "nobody", data = "rubbish" });

        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsJsonAsync($"/dead-letters/{DeadLetterStore.IdOf("a:1")}/discard", new { }, Cancellation)).StatusCode);

        Assert.Empty((await host.GetAsync("/dead-letters/failures?stream=a")).GetProperty("failures").EnumerateArray());
    }

    private static async Task<JsonElement> FailureAsync(ServiceHost host) =>
        Assert.Single((await host.GetAsync("/dead-letters/failures?stream=a")).GetProperty("failures").EnumerateArray());

    private static string? Outcome(JsonElement failure) => failure.GetProperty("outcome").GetString();
}
