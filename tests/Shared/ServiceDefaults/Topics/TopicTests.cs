using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.DependencyInjection;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Topics;

public sealed class TopicTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_single_CloudEvent_reaches_the_handler_with_everything_the_relay_sent()
    {
        var handled = new ConcurrentQueue<IncomingEvent>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) => Note(handled, events)));

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("letter-1", 7)));

        var incoming = Assert.Single(handled);
        Assert.Equal("post", incoming.Publisher);
        Assert.Equal(new LetterSent("letter-1", "Ann"), incoming.Payload);
        var recorded = incoming.Recorded;
        Assert.Equal(("letter-1:7", "letter-1", 7L, "LetterSent", 1), (recorded.Id, recorded.Stream, recorded.Version, recorded.Type, recorded.SchemaVersion));
        Assert.Equal(("4bf92f3577b34da6a3ce929d0e0e4736", "cause-1"), (recorded.CorrelationId, recorded.CausationId));
        Assert.Equal(DateTimeOffset.Parse("2026-01-02T03:04:05.0000001Z"), recorded.OccurredAt);
        Assert.Equal("Ann", recorded.Data.GetProperty("to").GetString());
    }

    [Fact]
    public async Task Attributes_that_a_broker_turned_into_text_are_read_as_numbers()
    {
        var handled = new ConcurrentQueue<IncomingEvent>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) => Note(handled, events)));
        var cloudEvent = CloudEvent("letter-1", 7);
        cloudEvent["streamversion"] = "7";
        cloudEvent["schemaversion"] = "1";

        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", cloudEvent));

        Assert.Equal(7, Assert.Single(handled).Recorded.Version);
    }

    [Fact]
    public async Task A_bulk_delivery_is_handled_stream_by_stream_in_order_of_version_and_duplicates_once()
    {
        var calls = new ConcurrentBag<string>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) =>
        {
            calls.Add(string.Join(" ", events.Select(incoming => incoming.Recorded.Id)));
            return Task.CompletedTask;
        }));

        var statuses = await host.DeliverManyAsync(
            "letters", CloudEvent("a", 3), CloudEvent("b", 1), CloudEvent("a", 2), CloudEvent("a", 3), CloudEvent("a", 1));

        Assert.All(statuses, status => Assert.Equal("SUCCESS", status));
        Assert.Equal(["a:1 a:2 a:3", "b:1"], calls.Order());
    }

    [Fact]
    public async Task Each_entry_is_answered_by_itself()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) => events[0].Recorded.Stream switch
        {
            "broken" => throw new InvalidOperationException("The post office is closed."),
            "foreign" => throw new UnknownEventException("An event of the stream is of a type not known here."),
            _ => Task.CompletedTask,
        }));
        var ofNewerSchema = CloudEvent("b", 1);
        ofNewerSchema["schemaversion"] = 2;
        var withoutStream = CloudEvent("c", 1);
        withoutStream.Remove("stream");
        var withWrongPayload = CloudEvent("d", 1);
        withWrongPayload["data"] = new { id = "d" };

        var statuses = await host.DeliverManyAsync(
            "letters", CloudEvent("a", 1), CloudEvent("broken", 1), CloudEvent("foreign", 1), ofNewerSchema, withoutStream, withWrongPayload, null, "bm8ganNvbg==");

        Assert.Equal(["SUCCESS", "RETRY", "DROP", "DROP", "DROP", "DROP", "DROP", "DROP"], statuses);
    }

    [Fact]
    public async Task An_event_of_a_type_that_is_not_known_yet_is_acknowledged_and_told_once_and_its_neighbours_are_handled()
    {
        var handled = new ConcurrentQueue<IncomingEvent>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) => Note(handled, events)));
        using var passed = new CountedEvents("events.unknown_type", ("type", "LetterLost"));
        var lost = CloudEvent("a", 2);
        lost["type"] = "LetterLost";

        Assert.Equal(["SUCCESS", "SUCCESS", "SUCCESS"], await host.DeliverManyAsync("letters", CloudEvent("a", 1), lost, CloudEvent("a", 3)));
        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", lost));

        Assert.Equal([1, 3], handled.Select(incoming => incoming.Recorded.Version));
        Assert.Single(host.Log, line => line.Contains("LetterLost", StringComparison.Ordinal));
        Assert.Equal(2, passed.Count);
    }

    [Fact]
    public async Task An_event_without_effect_here_is_acknowledged_and_neither_decoded_nor_handed_over()
    {
        var handled = new ConcurrentQueue<IncomingEvent>();
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (events, _) => Note(handled, events), typeof(LetterSent)));
        var ofNewerSchema = CloudEvent("b", 1);
        ofNewerSchema["schemaversion"] = 2;
        var ofAnother = CloudEvent("c", 1);
        ofAnother["source"] = "eve";

        Assert.Equal(["SUCCESS", "SUCCESS", "DROP"], await host.DeliverManyAsync("letters", CloudEvent("a", 1), ofNewerSchema, ofAnother));

        Assert.Empty(handled);
    }

    [Fact]
    public async Task A_stream_of_ours_that_a_later_version_of_us_has_written_is_tried_again_and_no_dead_letter()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) =>
            throw new NewerEventException("Stream box-1 holds 'BoxSplit'.", new UnknownEventException("not known"))));

        Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));
    }

    [Theory]
    [InlineData("streamversion", 0)]
    [InlineData("streamversion", "x")]
    [InlineData("schemaversion", 1.5)]
    [InlineData("time", "yesterday")]
    [InlineData("source", "")]
    [InlineData("source", "nobody")]
    [InlineData("type", 5)]
    public async Task An_attribute_that_cannot_be_read_drops_the_event_into_the_dead_letters(string attribute, object value)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        var cloudEvent = CloudEvent("a", 1);
        cloudEvent[attribute] = value;

        Assert.Equal("DROP", await host.DeliverAsync("letters", cloudEvent));
    }

    [Fact]
    public async Task A_body_that_is_no_JSON_is_dropped_and_not_an_error_of_the_server()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));

        var response = await host.Http.PostAsync("/events/letters", new StringContent("<xml/>", Encoding.UTF8, "text/xml"), Cancellation);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("DROP", (await JsonAsync(response)).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Handling_continues_the_trace_in_which_the_event_was_made()
    {
        string? trace = null;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) =>
        {
            trace = Activity.Current?.TraceId.ToString();
            return Task.CompletedTask;
        }));

        await host.DeliverAsync("letters", CloudEvent("a", 1));

        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", trace);
    }

    [Fact]
    public async Task What_the_log_brought_in_the_place_of_a_delivery_is_handled_in_the_trace_of_its_event_too()
    {
        string? trace = null;
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) =>
        {
            trace = Activity.Current?.TraceId.ToString();
            return Task.CompletedTask;
        }));
        var recorded = new RecordedEvent(
            "letter-1", 1, nameof(LetterSent), 1, DateTimeOffset.UnixEpoch, "4bf92f3577b34da6a3ce929d0e0e4736", null,
            JsonSerializer.SerializeToElement(new LetterSent("letter-1", "Ann"), EventTypes.Json));
        using var look = new Activity("look").Start();

        Assert.Null(await host.Services.GetRequiredService<TopicRegistry>().Find("letters")!.TryHandleAsync([recorded], Cancellation));

        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", trace);
    }

    [Fact]
    public async Task Streams_of_one_delivery_are_handled_at_the_same_time()
    {
        var bothAreHere = new Barrier(2);
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, cancellation) =>
            Task.Run(() => bothAreHere.SignalAndWait(cancellation), cancellation)));

        var statuses = await host.DeliverManyAsync("letters", CloudEvent("a", 1), CloudEvent("b", 1));

        Assert.Equal(["SUCCESS", "SUCCESS"], statuses);
    }

    [Theory]
    [InlineData("/events/letters")]
    [InlineData("/events/dead-letters")]
    [InlineData("/actors/Letter/1/method/send")]
    [InlineData("/dapr/subscribe")]
    public async Task Routes_of_the_sidecar_are_refused_without_the_app_token(string path)
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask), ("APP_API_TOKEN", "secret"));

        foreach (var token in new[] { null, "", "secret2", "Secret" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path);
            if (token is not null)
                request.Headers.TryAddWithoutValidation("dapr-api-token", token);
            var response = await host.Http.SendAsync(request, Cancellation);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("urn:daprorders:wrong-app-token", (await JsonAsync(response)).GetProperty("type").GetString());
        }

        host.Http.DefaultRequestHeaders.Add("dapr-api-token", "secret");
        Assert.Equal("SUCCESS", await host.DeliverAsync("letters", CloudEvent("a", 1)));
    }

    /// <summary>What a counter has counted with a tag.</summary>
    private sealed class CountedEvents : IDisposable
    {
        private readonly MeterListener _listener = new();
        private long _count;

        public CountedEvents(string counter, (string Name, string Value) tag)
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == counter)
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<long>((_, counted, tags, _) =>
            {
                foreach (var (name, value) in tags)
                {
                    if (name == tag.Name && value as string == tag.Value)
                        Interlocked.Add(ref _count, counted);
                }
            });
            _listener.Start();
        }

        public long Count => Interlocked.Read(ref _count);

        public void Dispose() => _listener.Dispose();
    }

    private static Task Note(ConcurrentQueue<IncomingEvent> handled, IReadOnlyList<IncomingEvent> events)
    {
        foreach (var incoming in events)
            handled.Enqueue(incoming);
        return Task.CompletedTask;
    }
}
