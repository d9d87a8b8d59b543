using System.Text;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.JetStream;
using NATS.Client.JetStream.Models;
using static DaprOrders.Sidecar.Tests.PubSub.BrokerTests;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.jetstream on a real NATS server; what daprd does on it is recorded, and played beside this.</summary>
public sealed class JetStreamPubSubTests : JetStreamTestsBase
{
    private static readonly (string, string)[] Parallel = [("concurrencyMode", "parallel")];

    [Fact]
    public async Task Who_subscribes_for_the_first_time_gets_what_was_published_before_and_each_consumer_gets_all_in_order()
    {
        await using var publisher = await OpenAsync("publisher");
        await using var one = await OpenAsync("one");
        await using var two = await OpenAsync("two");
        await PublishAsync(publisher, 1, 30);
        var (first, second) = (new CollectingHandler(), new CollectingHandler());
        await using var ofOne = await one.SubscribeAsync(Orders, first.Gated(Task.CompletedTask), Cancellation);
        await using var ofTwo = await two.SubscribeAsync(Orders, second.Handle, Cancellation);
        await PublishAsync(publisher, 31, 60);

        Assert.Equal(Numbers(1, 60), await first.WaitFor(60));
        Assert.Equal(Numbers(1, 60), await second.WaitFor(60));
        Assert.Equal(1, first.MostAtOnce);
        await UntilAsync(async () => (await ConsumerAsync("one")).NumAckPending == 0);
    }

    [Fact]
    public async Task What_was_handled_does_not_come_again_after_a_restart()
    {
        await using (var broker = await OpenAsync("one"))
        {
            var handler = new CollectingHandler();
            await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
            await PublishAsync(broker, 1, 3);
            await handler.WaitFor(3);
        }

        await using var next = await OpenAsync("one");
        var later = new CollectingHandler();
        await using var subscription = await next.SubscribeAsync(Orders, later.Handle, Cancellation);
        await PublishAsync(next, 4, 4);

        Assert.Equal(["4"], await later.WaitFor(1));
    }

    [Fact]
    public async Task An_event_arrives_with_its_topic_and_nothing_of_what_the_publisher_gave()
    {
        await using var broker = await OpenAsync("one");
        var received = new List<BrokerMessage>();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(
            Orders,
            (message, stop) =>
            {
                received.Add(message);
                return handler.Handle(message, stop);
            },
            Cancellation);

        await broker.PublishAsync("orders", new(Bytes("bare"), "text/plain", null), Cancellation);
        var failures = await broker.PublishManyAsync(
            "orders", [new(Bytes(""), null, new Dictionary<string, string> { ["a"] = "b" }), new(Bytes("ü"), null, null)], Cancellation);

        Assert.Equal(["bare", "", "ü"], await handler.WaitFor(3));
        Assert.Equal([null, null], failures);
        Assert.All(received, message => Assert.Null(message.ContentType));
        Assert.All(received, message => Assert.Equal([KeyValuePair.Create("Topic", "orders")], message.Metadata!));
    }

    [Fact]
    public async Task An_event_that_is_published_again_under_its_id_is_taken_once()
    {
        await using var broker = await OpenAsync("one");
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
        string[] published = ["""{"id":"ä1"}""", """{"id":"ä1","again":true}""", """{"id":"ö1"}""", """{"data":{"id":"ä1"}}""", """{"data":{"id":"ä1"}}""", "last"];

        foreach (var text in published)
            await broker.PublishAsync("orders", new(Bytes(text), null, null), Cancellation);

        Assert.Equal(published.Where((_, i) => i != 1), await handler.WaitFor(5));
    }

    [Theory]
    [InlineData("""{"specversion":"1.0","id":"a-1","data":{"id":"no"}}""", "a-1")]
    [InlineData("""{"data":[{"id":"no"}],"id":"a\n1"}""", "a 1")]
    [InlineData("""{"id":7}""", null)]
    [InlineData("""{"id":""}""", null)]
    [InlineData("""["id"]""", null)]
    [InlineData("""{"id":"cut off"}}""", null)]
    [InlineData("hello", null)]
    [InlineData("", null)]
    public void The_id_is_that_of_whatever_is_a_JSON_object(string data, string? id) => Assert.Equal(id, JetStreamPubSub.IdOf(Bytes(data).Span));

    [Fact]
    public async Task Replicas_share_through_their_queue_group_and_each_handles_one_at_a_time()
    {
        await using var one = await OpenAsync("app");
        await using var two = await OpenAsync("app");
        var (gate, first, second) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        await using var ofOne = await one.SubscribeAsync(Orders, first.Gated(gate.Task), Cancellation);
        await using var ofTwo = await two.SubscribeAsync(Orders, second.Gated(gate.Task), Cancellation);

        await PublishAsync(one, 1, 40);
        await Task.WhenAll(first.WaitFor(1), second.WaitFor(1));
        gate.SetResult();

        await UntilAsync(() => Task.FromResult(first.Received.Count + second.Received.Count == 40));
        Assert.Equal(Enumerable.Range(1, 40), first.Received.Concat(second.Received).Select(int.Parse).Order());
        Assert.Equal((1, 1), (first.MostAtOnce, second.MostAtOnce));
    }

    [Fact]
    public async Task Without_a_queue_group_the_second_replica_is_told_and_takes_over_when_the_first_has_ended()
    {
        var log = new WrittenLog();
        await using var one = await OpenAsync("app", ("queueGroupName", ""));
        await using var two = await OpenAsync("app", log, ("queueGroupName", ""));
        var (first, second) = (new CollectingHandler(), new CollectingHandler());
        var subscription = await one.SubscribeAsync(Orders, first.Handle, Cancellation);
        await using var waiting = await two.SubscribeAsync(Orders, second.Handle, Cancellation);
        await PublishAsync(one, 1, 1);
        await first.WaitFor(1);
        await log.WaitFor("replicas need a queueGroupName");

        await subscription.DisposeAsync();
        await PublishAsync(one, 2, 2);

        Assert.Equal(["2"], await second.WaitFor(1));
    }

    [Fact]
    public async Task Without_a_durable_name_every_start_gets_the_stream_anew()
    {
        await using var broker = await OpenAsync("");
        await PublishAsync(broker, 1, 3);
        var (first, second) = (new CollectingHandler(), new CollectingHandler());
        await (await broker.SubscribeAsync(Orders, first.Handle, Cancellation)).DisposeAsync();
        await using var again = await broker.SubscribeAsync(Orders, second.Handle, Cancellation);

        Assert.Equal(["1", "2", "3"], await second.WaitFor(3));
    }

    [Fact]
    public async Task A_message_whose_handler_failed_comes_again_at_once_until_it_is_handled()
    {
        await using var broker = await OpenAsync("one");
        var attempts = 0;
        var handler = new CollectingHandler(text => text == "1" && Interlocked.Increment(ref attempts) < 4 ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 1);

        Assert.Equal(["1", "1", "1", "1"], await handler.WaitFor(4));
        await UntilAsync(async () => (await ConsumerAsync("one")).NumAckPending == 0);
    }

    [Fact]
    public async Task With_an_ack_wait_it_comes_again_after_it_and_others_come_before()
    {
        await using var patient = await OpenAsync("patient", ("ackWait", "1h"));
        await using var broker = await OpenAsync("one", ("ackWait", "1"));
        var failures = 1;
        var (waiting, handler) = (new CollectingHandler(FailTheFirst), new CollectingHandler(text => failures-- > 0 ? DeliveryResult.Failed : DeliveryResult.Done));
        await using var ofPatient = await patient.SubscribeAsync(Orders, waiting.Handle, Cancellation);
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 3);

        Assert.Equal(["1", "2", "3"], await waiting.WaitFor(3));
        await UntilAsync(async () => (await ConsumerAsync("patient")).NumAckPending == 1);
        Assert.Equal(["1", "1", "2", "3"], (await handler.WaitFor(4)).Order());
        Assert.Equal(3, waiting.Received.Count);

        static DeliveryResult FailTheFirst(string text) => text == "1" ? DeliveryResult.Failed : DeliveryResult.Done;
    }

    [Fact]
    public async Task After_max_deliver_attempts_it_does_not_come_again()
    {
        var log = new WrittenLog();
        await using var broker = await OpenAsync("one", log, ("maxDeliver", "3"));
        var handler = new CollectingHandler(text => text == "1" ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 1);
        await log.WaitFor("does not come again");
        await PublishAsync(broker, 2, 2);

        Assert.Equal(["1", "1", "1", "2"], await handler.WaitFor(4));
    }

    [Fact]
    public async Task In_parallel_what_is_at_work_is_acknowledged_only_when_it_is_handled()
    {
        await using var broker = await OpenAsync("one", Parallel);
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 20);

        await handler.WaitFor(20);
        Assert.Equal(20, handler.MostAtOnce);
        Assert.Equal(20, (await ConsumerAsync("one")).NumAckPending);
        gate.SetResult();

        await UntilAsync(async () => (await ConsumerAsync("one")).NumAckPending == 0);
    }

    [Fact]
    public async Task No_more_are_at_work_at_once_than_max_ack_pending()
    {
        await using var broker = await OpenAsync("one", [.. Parallel, ("maxAckPending", "3")]);
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 20);
        await handler.WaitFor(3);
        gate.SetResult();

        Assert.Equal(Enumerable.Range(1, 20), (await handler.WaitFor(20)).Select(int.Parse).Order());
        Assert.InRange(handler.MostAtOnce, 1, 3);
    }

    [Fact]
    public async Task What_waits_here_for_longer_than_the_ack_wait_is_handled_once()
    {
        await using var broker = await OpenAsync("one", ("ackWait", "500ms"));
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 3);
        await handler.WaitFor(1);

        await UntilAsync(async () => (await ConsumerAsync("one")).NumRedelivered == 3);
        gate.SetResult();

        await UntilAsync(async () => (await ConsumerAsync("one")).NumAckPending == 0);
        Assert.Equal(["1", "2", "3"], handler.Received);
    }

    [Fact]
    public async Task A_subscription_that_ended_waits_for_what_it_has_in_hand_and_gives_the_rest_to_another_replica_at_once()
    {
        await using var one = await OpenAsync("app", ("ackWait", "1h"));
        await using var two = await OpenAsync("app", ("ackWait", "1h"));
        var (gate, first, second) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        var subscription = await one.SubscribeAsync(Orders, first.Gated(gate.Task), Cancellation);
        await PublishAsync(one, 1, 5);
        await first.WaitFor(1);

        var ending = subscription.DisposeAsync().AsTask();
        await using var other = await two.SubscribeAsync(Orders, second.Handle, Cancellation);
        Assert.False(ending.IsCompleted);
        gate.SetResult();
        await ending;

        Assert.Equal(["2", "3", "4", "5"], (await second.WaitFor(4)).Order());
        Assert.Equal(["1"], first.Received);
        await subscription.DisposeAsync();
    }

    [Fact]
    public async Task In_bulk_a_batch_is_what_is_there_and_each_message_has_its_own_fate()
    {
        await using var broker = await OpenAsync("one");
        await PublishAsync(broker, 1, 25);
        var (gate, handler, sizes, failed) = (new TaskCompletionSource(), new CollectingHandler(), new List<int>(), false);
        await using var subscription = await ((IBulkPubSub)broker).SubscribeManyAsync(
            Orders,
            maxMessages: 10,
            async (batch, stop) =>
            {
                await gate.Task;
                lock (sizes)
                    sizes.Add(batch.Messages.Count);
                for (var i = 0; i < batch.Messages.Count; i++)
                {
                    var result = !failed && Encoding.UTF8.GetString(batch.Messages[i].Data.Span) == "7" ? DeliveryResult.Failed : DeliveryResult.Done;
                    failed |= result == DeliveryResult.Failed;
                    if (result == DeliveryResult.Done)
                        await handler.Handle(batch.Messages[i], stop);
                    batch.Finish(i, result);
                }
            },
            Cancellation);
        await UntilAsync(async () => (await ConsumerAsync("one")).NumAckPending == 25);
        gate.SetResult();

        Assert.Equal(Numbers(1, 25).Order(), (await handler.WaitFor(25)).Order());
        Assert.InRange(sizes.Count, 3, 10);
        Assert.InRange(sizes.Max(), 2, 10);
        await UntilAsync(async () => (await ConsumerAsync("one")).NumAckPending == 0);
    }

    [Fact]
    public async Task With_flow_control_the_server_is_answered_and_goes_on()
    {
        await using var broker = await OpenAsync("one", ("flowControl", "true"), ("heartbeat", "1s"), ("ackPolicy", "none"));
        var text = new string('x', 10_000);
        for (var batch = 0; batch < 20; batch++)
            await broker.PublishManyAsync("orders", [.. Enumerable.Range(0, 200).Select(n => new BrokerMessage(Bytes($"{n}{text}"), null, null))], Cancellation);
        var handler = new CollectingHandler();

        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await handler.WaitFor(4000);
    }

    [Fact]
    public async Task A_missing_stream_is_told_to_publishers_and_in_the_log_and_the_subscription_begins_when_it_is_made()
    {
        var log = new WrittenLog();
        await using var broker = await OpenAsync("one", log);
        var handler = new CollectingHandler();

        var refused = await Assert.ThrowsAsync<IOException>(() => broker.PublishAsync("parcels", new(Bytes("1"), null, null), Cancellation));
        await using var subscription = await broker.SubscribeAsync(Orders with { Topic = "parcels" }, handler.Handle, Cancellation);
        await log.WaitFor("no stream takes the subject parcels");
        await Server.AddStreamsAsync(["parcels"], Cancellation);
        await broker.PublishAsync("parcels", new(Bytes("2"), null, null), Cancellation);

        Assert.Contains("no response from stream: is there one that takes the subject parcels?", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["2"], await handler.WaitFor(1));
    }

    [Theory]
    [InlineData("streamName", "nowhere", "there is no stream nowhere")]
    [InlineData("ackWait", "7s", "its ackWait is 00:00:30, the component says 00:00:07")]
    [InlineData("queueGroupName", "others", "its queue group is 'one', queueGroupName is 'others'")]
    [InlineData("deliverPolicy", "new", "its deliverPolicy is All")]
    public async Task A_consumer_that_is_there_with_other_settings_is_told(string field, string value, string told)
    {
        await using (var broker = await OpenAsync("one"))
            await broker.SubscribeAsync(Orders, new CollectingHandler().Handle, Cancellation);

        var log = new WrittenLog();
        await using var other = await OpenAsync("one", log, (field, value));
        await using var subscription = await other.SubscribeAsync(Orders, new CollectingHandler().Handle, Cancellation);

        await log.WaitFor(told);
    }

    [Fact]
    public async Task One_stream_for_two_topics_of_a_durable_consumer_is_told()
    {
        await Server.AddStreamsAsync(["a.x", "a.y"], Cancellation, oneStream: "a");
        var log = new WrittenLog();
        await using var broker = await OpenAsync("one", log);
        await using var first = await broker.SubscribeAsync(Orders with { Topic = "a.x" }, new CollectingHandler().Handle, Cancellation);
        await using var second = await broker.SubscribeAsync(Orders with { Topic = "a.y" }, new CollectingHandler().Handle, Cancellation);

        await log.WaitFor("each topic needs a stream of its own");
    }

    [Fact]
    public async Task New_only_gets_what_is_published_after_it_subscribed()
    {
        await using var broker = await OpenAsync("one", ("deliverPolicy", "new"));
        await PublishAsync(broker, 1, 3);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
        await PublishAsync(broker, 4, 5);

        Assert.Equal(["4", "5"], await handler.WaitFor(2));
    }

    [Fact]
    public async Task What_the_component_says_is_what_the_consumer_has()
    {
        await using var broker = await OpenAsync(
            "one", ("streamName", "orders"), ("deliverPolicy", "sequence"), ("startSequence", "2"), ("backOff", "1s, 2, 300ms"), ("maxDeliver", "5"),
            ("maxAckPending", "9"), ("replicas", "1"), ("memoryStorage", "true"), ("rateLimit", "1000000"), ("heartbeat", "3s"), ("flowControl", "true"));
        await PublishAsync(broker, 1, 3);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        Assert.Equal(["2", "3"], await handler.WaitFor(2));
        var config = (await ConsumerAsync("one")).Config;
        Assert.Equal(
            ("one", "one", "orders", ConsumerConfigDeliverPolicy.ByStartSequence, 2ul, ConsumerConfigAckPolicy.Explicit),
            (config.DurableName, config.DeliverGroup, config.FilterSubject, config.DeliverPolicy, config.OptStartSeq, config.AckPolicy));
        Assert.Equal([TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(0.3)], config.Backoff!);
        Assert.Equal((5L, 9L, 1L, true, 1_000_000L), (config.MaxDeliver, config.MaxAckPending, config.NumReplicas, config.MemStorage, config.RateLimitBps));
        Assert.Equal((TimeSpan.FromSeconds(3), true), (config.IdleHeartbeat, config.FlowControl));
    }
}
