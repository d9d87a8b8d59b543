using System.Net;
using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Configuration;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Topics;

/// <summary>A topic whose events must be signed.</summary>
public sealed class SignedTopicTests
{
    private const string Key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    private const string NextKey = "c2Vjb25kLXNlY29uZC1zZWNvbmQtc2Vjb25kLXNlY29uZC0=";
    private const string ForeignKey = "Zm9yZWlnbi1mb3JlaWduLWZvcmVpZ24tZm9yZWlnbi1mb3I=";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_signed_event_is_taken_in_a_bulk_and_alone_whichever_of_the_keys_signed_it()
    {
        await using var host = await StartAsync(Map, ("EVENTS_SIGNING_KEY", $"{NextKey},{Key}"));

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", Signed("letter-1", 1, Key)));
        Assert.Equal(["SUCCESS", "SUCCESS"], await host.DeliverManyAsync("letters", Signed("letter-2", 1, Key), Signed("letter-3", 1, NextKey)));
    }

    [Fact]
    public async Task What_nobody_signed_is_a_dead_letter_with_the_reason_and_so_it_stays_when_it_is_sent_through_again()
    {
        await using var host = await StartAsync(Map, ("EVENTS_SIGNING_KEY", Key));
        var forged = CloudEvent("letter-1", 1);

        Assert.Equal("DROP", await host.DeliverAsync("letters", forged));
        await host.DeliverAsync("dead-letters", forged);

        var letter = (await host.GetAsync("/dead-letters")).GetProperty("deadLetters")[0];
        Assert.Contains("has no 'signature': it is not from post", letter.GetProperty("error").GetString(), StringComparison.Ordinal);
        using var redriven = await host.Http.PostAsync($"/dead-letters/{letter.GetProperty("id").GetString()}/redrive", null, Cancellation);
        Assert.Equal(HttpStatusCode.Conflict, redriven.StatusCode);
        Assert.Contains("'signature'", (await JsonAsync(redriven)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_signature_of_another_key_or_over_another_event_is_refused_and_fails_no_neighbour()
    {
        await using var host = await StartAsync(Map, ("EVENTS_SIGNING_KEY", Key));
        var (changed, moved) = (Signed("letter-1", 1, Key), Signed("letter-2", 1, Key));
        changed["data"] = new { id = "letter-1", to = "Eve" };
        moved["streamversion"] = 2;

        Assert.Equal(
            ["DROP", "SUCCESS", "DROP", "DROP"],
            await host.DeliverManyAsync("letters", changed, Signed("letter-3", 1, Key), moved, Signed("letter-4", 1, ForeignKey)));
    }

    [Fact]
    public async Task An_event_without_effect_here_must_be_signed_as_well_since_it_counts_as_handled()
    {
        await using var host = await StartAsync(
            app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask, typeof(LetterSent)), ("EVENTS_SIGNING_KEY", Key));

        Assert.Equal(["DROP", "SUCCESS"], await host.DeliverManyAsync("letters", CloudEvent("letter-1", 1), Signed("letter-2", 1, Key)));
    }

    [Fact]
    public async Task Without_a_key_events_are_taken_as_they_come()
    {
        await using var host = await StartAsync(Map);

        Assert.Equal(["SUCCESS", "SUCCESS"], await host.DeliverManyAsync("letters", CloudEvent("letter-1", 1), Signed("letter-2", 1, Key)));
    }

    [Fact]
    public async Task A_key_that_is_none_stops_the_start()
    {
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(Map, ("EVENTS_SIGNING_KEY", "c2hvcnQ=")));

        Assert.Contains("EVENTS_SIGNING_KEY", refused.Message, StringComparison.Ordinal);
    }

    private static void Map(Microsoft.AspNetCore.Builder.WebApplication app) => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask);

    private static Dictionary<string, object?> Signed(string stream, long version, string key)
    {
        var cloudEvent = CloudEvent(stream, version);
        var recorded = new RecordedEvent(
            stream, version, nameof(LetterSent), 1, DateTimeOffset.Parse((string)cloudEvent["time"]!, null), null, null, JsonSerializer.SerializeToElement(cloudEvent["data"]));
        cloudEvent["signature"] = EventSigning.From(new ConfigurationBuilder().AddInMemoryCollection([new(EventSigning.Setting, key)]).Build()).Sign("post", recorded);
        return cloudEvent;
    }
}
