using System.Collections.Concurrent;
using System.Diagnostics;
using DaprOrders.EventSourcing.Tests.Store;

namespace DaprOrders.EventSourcing.Tests.Publishing;

public sealed class EventTracesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Work_on_events_of_one_trace_is_a_part_of_it()
    {
        using var listening = Listen(out _);
        var trace = ActivityTraceId.CreateRandom().ToHexString();

        using var work = EventTraces.Start("work", ActivityKind.Consumer, [Of(1, trace), Of(2, trace)]);

        Assert.Equal(trace, work?.TraceId.ToHexString());
        Assert.Equal(EventTraces.ParentOf(Of(1, trace)), $"00-{trace}-{work?.ParentSpanId}-01");
        Assert.Empty(work!.Links);
    }

    [Fact]
    public void Work_on_events_of_several_traces_is_a_trace_by_itself_with_links_to_each()
    {
        using var listening = Listen(out _);
        using var around = new Activity("around").Start();
        string[] traces = [ActivityTraceId.CreateRandom().ToHexString(), ActivityTraceId.CreateRandom().ToHexString()];

        using var work = EventTraces.Start("work", ActivityKind.Consumer, [Of(1, traces[0]), Of(2, traces[1]), Of(3, null)]);

        Assert.Equal(traces, work!.Links.Select(link => link.Context.TraceId.ToHexString()));
        Assert.DoesNotContain(work.TraceId.ToHexString(), (IEnumerable<string>)[.. traces, around.TraceId.ToHexString()]);
    }

    [Fact]
    public async Task The_publication_of_an_event_is_a_part_of_the_trace_in_which_it_was_made()
    {
        using var listening = Listen(out var ended);
        string trace;
        await using (var calm = new CalmStore())
        {
            using var request = new Activity("request").Start();
            trace = request.TraceId.ToHexString();
            await calm.BookAsync("a", 1);
        }

        Assert.Contains(ended, activity => activity.DisplayName == "publish ledgers" && activity.TraceId.ToHexString() == trace && activity.Kind == ActivityKind.Producer);
    }

    [Fact]
    public async Task An_event_keeps_the_span_in_which_it_was_made_for_whoever_handles_it()
    {
        using var listening = Listen(out _);
        await using var calm = new CalmStore();
        await calm.Store.Ready;
        RecordedEvent placed, follows;
        using (var request = StartRecorded("request"))
        {
            placed = Assert.Single((await calm.BookAsync("a", 1)).Appended);
            Assert.Equal($"00-{request.TraceId}-{request.SpanId}-01", EventTraces.ParentOf(placed));
        }

        using (var handling = EventTraces.Start("handle", ActivityKind.Consumer, [placed])!)
        {
            var handled = await calm.Store.ConsumeAsync(
                CalmStore.Category, "b", [new IncomingEvent("elsewhere", placed, new Booked(1, ""))], (_, _) => new Booked(2, ""), Cancellation);
            follows = Assert.Single(handled.Appended);
            Assert.Equal(placed.SpanId, $"{handling.ParentSpanId}");
            Assert.Equal($"{handling.SpanId}", follows.SpanId);
        }

        // What is made later, in the background, goes on where the stream stood.
        var later = Assert.Single((await calm.BookAsync("b", 3)).Appended);
        Assert.Equal((follows.CorrelationId, follows.SpanId), (later.CorrelationId, later.SpanId));
        using (var work = EventTraces.Start("work", ActivityKind.Internal, await calm.Store.LoadAsync(CalmStore.Category, "b", Cancellation)))
            Assert.Equal((later.CorrelationId, later.SpanId), ($"{work!.TraceId}", $"{work.ParentSpanId}"));
        Assert.Equal(later, (await calm.Store.ReadStreamAsync("ledger-b", 1, 1, Cancellation))[0] with { Data = later.Data });
    }

    [Fact]
    public async Task A_span_that_is_not_sent_or_is_of_another_trace_is_no_parent()
    {
        using var listening = Listen(out _);
        await using var calm = new CalmStore();
        await calm.Store.Ready;

        using (new Activity("not recorded").Start())
            Assert.Null(Assert.Single((await calm.BookAsync("a", 1)).Appended).SpanId);
        using (StartRecorded("of another trace"))
        {
            var handled = await calm.Store.ConsumeAsync(
                CalmStore.Category, "b", [new IncomingEvent("elsewhere", Of(1, ActivityTraceId.CreateRandom().ToHexString()), new Booked(1, ""))], (_, _) => new Booked(2, ""), Cancellation);
            Assert.Null(Assert.Single(handled.Appended).SpanId);
        }
    }

    [Fact]
    public async Task What_follows_from_an_event_is_in_its_trace_whoever_delivers_it()
    {
        await using var calm = new CalmStore();
        var trace = ActivityTraceId.CreateRandom().ToHexString();
        using var delivery = new Activity("delivery").Start();

        var handled = await calm.Store.ConsumeAsync(
            CalmStore.Category, "a", [new IncomingEvent("elsewhere", Of(1, trace), new Booked(1, ""))], (_, _) => new Booked(2, ""), Cancellation);

        Assert.Equal(trace, Assert.Single(handled.Appended).CorrelationId);
    }

    [Fact]
    public async Task What_an_edited_event_causes_names_the_edit_and_its_original_is_passed_over()
    {
        await using var calm = new CalmStore();
        var original = new IncomingEvent("elsewhere", Of(1, null), new Booked(1, ""));

        var edited = await calm.Store.ConsumeAsync(
            CalmStore.Category, "a", [original with { Id = $"{original.Recorded.Id}~edit" }], (_, _) => new Booked(2, ""), Cancellation);
        var again = await calm.Store.ConsumeAsync(CalmStore.Category, "a", [original], (_, _) => new Booked(2, ""), Cancellation);

        Assert.Equal($"{original.Recorded.Id}~edit", Assert.Single(edited.Appended).CausationId);
        Assert.Empty(again.Appended);
    }

    private static RecordedEvent Of(long version, string? trace) => CalmStore.Recorded(version) with { CorrelationId = trace };

    private static Activity StartRecorded(string name) => new Activity(name) { ActivityTraceFlags = ActivityTraceFlags.Recorded }.Start();

    private static ActivityListener Listen(out ConcurrentQueue<Activity> ended)
    {
        var seen = ended = [];
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "DaprOrders.EventSourcing",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = seen.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }
}
