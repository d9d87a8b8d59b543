using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.DeadLetters;

/// <summary>An operator may change what a dead letter says, and nothing of what it is.</summary>
public sealed class LetterEditTests
{
    private const string Key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    private static readonly string Letter = $"/dead-letters/{DeadLetterStore.IdOf("letter-1:1")}";

    private readonly ConcurrentQueue<IncomingEvent> _handled = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_edited_letter_is_handled_as_a_new_message_whose_cause_is_the_original_and_both_are_kept()
    {
        await using var host = await StartAsync(Map);
        await KeepAsync(host, new { id = "letter-1", to = 17 });

        Assert.Equal(HttpStatusCode.OK, (await EditAsync(host, new { id = "letter-1", to = "Bob" }, "a number is no name")).StatusCode);

        var handled = Assert.Single(_handled);
        var act = Assert.Single((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray());
        var editedId = $"letter-1:1~{act.GetProperty("id").GetString()}";
        Assert.Equal((editedId, "letter-1:1", "letter-1:1", new LetterSent("letter-1", "Bob")), (handled.Id, handled.Recorded.Id, handled.Recorded.CausationId, handled.Payload));
        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", handled.Recorded.CorrelationId);
        Assert.Empty((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
        Assert.Equal(
            ("editedRedrive", "handled", "a number is no name", editedId, "letter-1:1"),
            (Text(act, "kind"), Text(act, "result"), Text(act, "reason"), Text(act, "editedId"), Text(act, "eventId")));
        var kept = await host.GetAsync($"/dead-letters/acts/{Text(act, "id")}");
        Assert.Equal(17, kept.GetProperty("original").GetProperty("data").GetProperty("to").GetInt32());
        var edited = kept.GetProperty("edited");
        Assert.Equal((editedId, "letter-1:1", "Bob"), (Text(edited, "id"), Text(edited, "causationid"), Text(edited.GetProperty("data"), "to")));
    }

    [Theory]
    [InlineData("""{"data":{"id":"letter-2","to":"Bob"},"reason":"r"}""", "data.id")]
    [InlineData("""{"data":{"id":"letter-1","ID":"letter-2","to":"Bob"},"reason":"r"}""", "data.id")]
    [InlineData("""{"data":{"id":"letter-1","to":{"name":"Bob"}},"reason":"r"}""", "data.to")]
    [InlineData("""{"data":{"id":"letter-1"},"reason":"r"}""", "data.to")]
    [InlineData("""{"data":{"id":"letter-1","to":17},"reason":"r"}""", "data")]
    [InlineData("""{"data":["Bob"],"reason":"r"}""", "data")]
    [InlineData("""{"data":null,"reason":"r"}""", "data")]
    [InlineData("""{"reason":"r"}""", "data")]
    [InlineData("""{"data":{"id":"letter-1","to":"Bob"}}""", "reason")]
    [InlineData("""{"data":{"id":"letter-1","to":"Bob"},"reason":" "}""", "reason")]
    [InlineData("""{"data":{"id":"letter-1",}""", "data")]
    public async Task What_an_edit_must_not_be_is_refused_by_the_field_and_nothing_is_done(string body, string field)
    {
        await using var host = await StartAsync(Map);
        await KeepAsync(host, new { id = "letter-1", to = 17 });

        using var refused = await host.Http.PostAsync($"{Letter}/edited-redrive", new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var errors = (await JsonAsync(refused)).GetProperty("errors");
        Assert.True(errors.TryGetProperty(field, out _), errors.ToString());
        Assert.Empty(_handled);
        await host.GetAsync(Letter);
        Assert.Empty((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray());
    }

    [Fact]
    public async Task Where_the_original_does_not_say_whom_it_is_about_its_stream_does()
    {
        await using var host = await StartAsync(Map);
        await host.DeliverDeadAsync(Saying(new { to = "Bob" }, stream: "letter-7"));
        var path = $"/dead-letters/{DeadLetterStore.IdOf("letter-7:1")}";

        using var other = await EditAsync(host, new { id = "8", to = "Bob" }, path: path);
        using var own = await EditAsync(host, new { id = "7", to = "Bob" }, path: path);

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK), (other.StatusCode, own.StatusCode));
        Assert.Equal(new LetterSent("7", "Bob"), Assert.Single(_handled).Payload);
    }

    [Fact]
    public async Task An_edit_is_no_larger_than_an_event()
    {
        await using var host = await StartAsync(Map);
        await KeepAsync(host, new { id = "letter-1", to = 17 });

        using var refused = await EditAsync(host, new { id = "letter-1", to = new string('b', 1_000_000) });

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.StatusCode);
        Assert.Empty(_handled);
    }

    [Fact]
    public async Task An_edit_that_its_handler_refuses_leaves_the_letter_as_it_was_and_says_why()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("Bob has moved.")));
        await KeepAsync(host, new { id = "letter-1", to = 17 });
        var before = await host.GetAsync(Letter);

        using var refused = await EditAsync(host, new { id = "letter-1", to = "Bob" });

        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Contains("Bob has moved.", Text(await JsonAsync(refused), "detail"), StringComparison.Ordinal);
        Assert.Equal(before.ToString(), (await host.GetAsync(Letter)).ToString());
        var act = Assert.Single((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray());
        Assert.Equal(("failed", "InvalidOperationException: Bob has moved."), (Text(act, "result"), Text(act, "error")));
    }

    [Fact]
    public async Task What_its_publisher_has_not_signed_is_handled_with_nobodys_help()
    {
        await using var host = await StartAsync(Map, ("EVENTS_SIGNING_KEY", Key));
        await host.DeliverDeadAsync(Saying(new { id = "letter-1", to = 17 }), Signed(new { id = "letter-2", to = 17 }, "letter-2"));
        var moved = Signed(new { id = "letter-3", to = 17 }, "letter-3");
        moved["streamversion"] = 2;
        await host.DeliverDeadAsync(moved);

        using var forged = await EditAsync(host, new { id = "letter-1", to = "Eve" });
        using var genuine = await EditAsync(host, new { id = "letter-2", to = "Bob" }, path: $"/dead-letters/{DeadLetterStore.IdOf("letter-2:1")}");
        using var elsewhere = await EditAsync(host, new { id = "letter-3", to = "Eve" }, path: $"/dead-letters/{DeadLetterStore.IdOf("letter-3:1")}");

        Assert.Equal((HttpStatusCode.Conflict, HttpStatusCode.OK, HttpStatusCode.Conflict), (forged.StatusCode, genuine.StatusCode, elsewhere.StatusCode));
        Assert.Equal("urn:daprorders:not-editable", Text(await JsonAsync(forged), "type"));
        Assert.Equal(["letter-2:1"], _handled.Select(incoming => incoming.Recorded.Id));
    }

    [Fact]
    public async Task An_edited_message_is_a_forgery_to_everybody_whom_it_is_delivered_to()
    {
        await using var host = await StartAsync(Map, ("EVENTS_SIGNING_KEY", Key));
        await host.DeliverDeadAsync(Signed(new { id = "letter-1", to = 17 }, "letter-1"));
        Assert.Equal(HttpStatusCode.OK, (await EditAsync(host, new { id = "letter-1", to = "Bob" })).StatusCode);
        var act = (await host.GetAsync("/dead-letters/acts")).GetProperty("acts")[0];
        var edited = (await host.GetAsync($"/dead-letters/acts/{Text(act, "id")}")).GetProperty("edited");

        Assert.Equal("DROP", await host.DeliverAsync("letters", edited));

        Assert.Single(_handled);
    }

    [Fact]
    public async Task The_original_is_no_dead_letter_any_more_however_and_to_whom_it_comes_again()
    {
        var state = new StateInMemory();
        await using var host = await StartAsync(state, Map);
        await using var other = await StartAsync(state, Map);
        var original = Saying(new { id = "letter-1", to = 17 });
        await host.DeliverDeadAsync(original);
        Assert.Equal(HttpStatusCode.OK, (await EditAsync(host, new { id = "letter-1", to = "Bob" })).StatusCode);

        await other.DeliverDeadAsync(original);
        var recorded = new RecordedEvent("letter-1", 1, nameof(LetterSent), 1, DateTimeOffset.UnixEpoch, null, null, JsonSerializer.SerializeToElement(original["data"]));
        Assert.True(await other.Services.GetRequiredService<RefusedEvents>().IsGivenUpAsync("post", "letters", recorded, new UnknownEventException("It does not fit."), Cancellation));
        Assert.Empty((await other.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());

        // A message that only names the event is not it.
        await other.DeliverDeadAsync(new { id = "letter-1:1", topic = "letters", source = "post", data = "rubbish" });
        Assert.Single((await other.GetAsync("/dead-letters")).GetProperty("deadLetters").EnumerateArray());
    }

    [Fact]
    public async Task A_letter_that_its_edit_was_to_take_along_when_the_process_was_killed_goes_with_the_next_redrive()
    {
        await using var host = await StartAsync(Map);
        await KeepAsync(host, new { id = "letter-1", to = 17 });
        var letters = host.Services.GetRequiredService<DeadLetterStore>();
        Assert.Equal(HttpStatusCode.Conflict, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);
        await letters.ReplacedAsync((await letters.FindAsync(DeadLetterStore.IdOf("letter-1:1"), Cancellation))!, "letter-1:1~act", Cancellation);

        Assert.Equal(HttpStatusCode.NoContent, (await host.Http.PostAsync($"{Letter}/redrive", null, Cancellation)).StatusCode);

        Assert.Empty(_handled);
        await host.GetAsync(Letter, HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Who_reads_the_log_by_itself_has_nothing_to_edit()
    {
        await using var host = await StartAsync(app => app.MapReadInLog("letters", "post", _ => throw new InvalidOperationException("It was redriven.")));
        await host.Services.GetRequiredService<DeadLetterStore>().KeepAsync(JsonSerializer.SerializeToElement(Saying(new { id = "letter-1", to = 17 })), "wrong", 6, Cancellation);

        using var refused = await EditAsync(host, new { id = "letter-1", to = "Bob" });

        Assert.Equal((HttpStatusCode.Conflict, "urn:daprorders:not-editable"), (refused.StatusCode, Text(await JsonAsync(refused), "type")));
    }

    [Fact]
    public async Task The_goods_of_a_letter_that_can_be_read_stay_since_some_of_them_may_be_held_by_it()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new InvalidOperationException("nobody is in")));
        var parcel = Saying(new { id = "letter-1", lines = new[] { "tea", "cups" } });
        parcel["type"] = nameof(ParcelSent);
        await host.DeliverDeadAsync(parcel);

        using var refused = await EditAsync(host, new { id = "letter-1", lines = new[] { "tea" } });

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.True((await JsonAsync(refused)).GetProperty("errors").TryGetProperty("data.lines", out _));
    }

    [Fact]
    public async Task An_act_that_has_begun_is_ended_although_its_operator_has_gone()
    {
        var (reached, go) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", async (_, _) =>
        {
            reached.TrySetResult();
            await go.Task;
        }));
        await KeepAsync(host, new { id = "letter-1", to = 17 });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);

        var edit = host.Http.PostAsJsonAsync($"{Letter}/edited-redrive", new { data = new { id = "letter-1", to = "Bob" }, reason = "r" }, leaving.Token);
        await reached.Task.WaitAsync(Cancellation);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => edit);
        go.SetResult();

        using var again = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while ((await host.GetAsync("/dead-letters")).GetProperty("deadLetters").GetArrayLength() > 0)
            await again.WaitForNextTickAsync(Cancellation);
        Assert.Equal("handled", Text(Assert.Single((await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray()), "result"));
    }

    [Theory]
    [InlineData(null, HttpStatusCode.Unauthorized)]
    [InlineData("buyer", HttpStatusCode.Forbidden)]
    [InlineData("viewer", HttpStatusCode.Forbidden)]
    [InlineData("operator", HttpStatusCode.OK)]
    public async Task Only_operators_edit_and_their_name_is_kept(string? role, HttpStatusCode expected)
    {
        await using var host = await StartAsync(Map, BearerTokens.Settings);
        host.Http.DefaultRequestHeaders.Add("dapr-api-token", BearerTokens.AppToken);
        await KeepAsync(host, new { id = "letter-1", to = 17 });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Letter}/edited-redrive") { Content = JsonContent.Create(new { data = new { id = "letter-1", to = "Bob" }, reason = "r" }) };
        if (role is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", BearerTokens.Of("ann", role));

        using var answer = await host.Http.SendAsync(request, Cancellation);

        Assert.Equal(expected, answer.StatusCode);
        host.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", BearerTokens.Of("vic", "viewer"));
        Assert.Equal(
            role == "operator" ? ["ann"] : [],
            (await host.GetAsync("/dead-letters/acts")).GetProperty("acts").EnumerateArray().Select(act => Text(act, "by")));
    }

    private void Map(WebApplication app) => app.MapTopic("letters", "post", (events, _) =>
    {
        foreach (var incoming in events)
            _handled.Enqueue(incoming);
        return Task.CompletedTask;
    });

    private static async Task KeepAsync(ServiceHost host, object data) => await host.DeliverDeadAsync(Saying(data));

    private static Task<HttpResponseMessage> EditAsync(ServiceHost host, object data, string reason = "it was wrong", string? path = null) =>
        host.Http.PostAsJsonAsync($"{path ?? Letter}/edited-redrive", new { data, reason }, Cancellation);

    private static Dictionary<string, object?> Saying(object data, string stream = "letter-1")
    {
        var cloudEvent = CloudEvent(stream, 1);
        cloudEvent["data"] = data;
        return cloudEvent;
    }

    private static Dictionary<string, object?> Signed(object data, string stream)
    {
        var cloudEvent = Saying(data, stream);
        var recorded = new RecordedEvent(
            stream, 1, nameof(LetterSent), 1, DateTimeOffset.Parse((string)cloudEvent["time"]!, null), null, null, JsonSerializer.SerializeToElement(data));
        cloudEvent["signature"] = EventSigning.From(new ConfigurationBuilder().AddInMemoryCollection([new(EventSigning.Setting, Key)]).Build()).Sign("post", recorded);
        return cloudEvent;
    }

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
