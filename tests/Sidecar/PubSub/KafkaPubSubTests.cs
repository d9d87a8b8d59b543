using System.Text;
using EmbeddedSidecar.Components.PubSub;
using static DaprOrders.Sidecar.Tests.PubSub.BrokerTests;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.kafka on librdkafka's imitation of a broker.</summary>
public sealed class KafkaPubSubTests : KafkaTestsBase
{
    [Fact]
    public async Task Who_subscribes_with_initial_offset_oldest_gets_what_was_published_before_and_each_group_gets_all()
    {
        await using var broker = await OpenAsync();
        await PublishAsync(broker, 1, 30);
        var (one, two, other) = (new CollectingHandler(), new CollectingHandler(), new CollectingHandler());
        await using var first = await broker.SubscribeAsync(Orders with { ConsumerId = "one" }, one.Handle, Cancellation);
        await using var second = await broker.SubscribeAsync(Orders with { ConsumerId = "two" }, two.Handle, Cancellation);
        await using var third = await broker.SubscribeAsync(Orders with { ConsumerId = "three", Topic = "stock" }, other.Handle, Cancellation);
        await PublishAsync(broker, 31, 60);
        await PublishAsync(broker, 1, 1, "stock");

        Assert.Equal(Numbers(1, 60), await one.WaitFor(60));
        Assert.Equal(Numbers(1, 60), await two.WaitFor(60));
        Assert.Equal(["1"], await other.WaitFor(1));
    }

    [Fact]
    public async Task Keys_and_metadata_are_key_and_headers_and_come_back_with_the_place_of_the_message()
    {
        await using var broker = await OpenAsync(("excludeHeaderMetaRegex", "^secret$"));
        var received = new List<BrokerMessage>();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, Keep(received, handler), Cancellation);

        await broker.PublishAsync("orders", new(Bytes("bare"), "text/plain", null), Cancellation);
        await handler.WaitFor(1);
        await broker.PublishAsync(
            "orders",
            new(Bytes("full"), null, new Dictionary<string, string> { ["partitionKey"] = "k ü", ["partitionNumber"] = "3", ["a"] = "b", ["secret"] = "s" }),
            Cancellation);
        await handler.WaitFor(2);

        Assert.Equal(["__offset", "__partition", "__timestamp", "__topic"], received[0].Metadata!.Keys.Order());
        Assert.Null(received[1].ContentType);
        Assert.Equal(
            [("__key", "k ü"), ("__partition", "3"), ("__topic", "orders"), ("a", "b"), ("partitionKey", "k ü"), ("partitionNumber", "3")],
            received[1].Metadata!.Where(field => field.Key is not ("__offset" or "__timestamp")).Select(field => (field.Key, field.Value)).Order());
    }

    [Fact]
    public async Task Headers_are_escaped_where_that_is_asked_for_and_null_is_a_record_without_a_value()
    {
        await using var broker = await OpenAsync(("escapeHeaders", "true"));
        var received = new List<BrokerMessage>();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, Keep(received, handler), Cancellation);

        await broker.PublishAsync("orders", new(Bytes("null"), null, new Dictionary<string, string> { ["__key"] = "a/b c" }), Cancellation);

        Assert.Equal(["null"], await handler.WaitFor(1));
        Assert.Equal("a%2Fb+c", received[0].Metadata!["__key"]);
    }

    [Theory]
    [InlineData("partitionNumber", "-1", "partitionNumber must be a whole number, 0 or more")]
    [InlineData("partitionNumber", "99", "Unknown partition")]
    [InlineData("valueSchemaType", "Avro", "has no Avro")]
    public async Task A_message_that_cannot_be_published_is_told_and_the_others_of_its_bulk_are_published(string field, string value, string reason)
    {
        await using var broker = await OpenAsync();

        var failures = await broker.PublishManyAsync(
            "orders",
            [new(Bytes("1"), null, null), new(Bytes("2"), null, new Dictionary<string, string> { [field] = value }), new(Bytes("3"), null, null)],
            Cancellation);

        Assert.Equal([null, failures[1], null], failures);
        Assert.Contains(reason, Assert.IsType<IOException>(failures[1]).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_of_a_key_are_handled_in_order_one_at_a_time_and_other_partitions_meanwhile()
    {
        await using var broker = await OpenAsync();
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        for (var partition = 0; partition < 4; partition++)
        {
            foreach (var n in Numbers(1, 5))
            {
                await broker.PublishAsync(
                    "orders", new(Bytes($"{partition}-{n}"), null, new Dictionary<string, string> { ["partitionNumber"] = $"{partition}" }), Cancellation);
            }
        }

        Assert.Equal(["0-1", "1-1", "2-1", "3-1"], (await handler.WaitFor(4)).Order());
        gate.SetResult();

        var received = await handler.WaitFor(20);
        Assert.Equal(4, handler.MostAtOnce);
        Assert.All(Enumerable.Range(0, 4), partition => Assert.Equal(
            Numbers(1, 5).Select(n => $"{partition}-{n}"), received.Where(text => text.StartsWith($"{partition}-", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task A_message_that_failed_is_handled_again_in_its_place_and_those_behind_it_wait()
    {
        await using var broker = await OpenAsync();
        var failures = 3;
        var handler = new CollectingHandler(text => text == "2" && failures-- > 0 ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 3);

        Assert.Equal(["1", "2", "2", "2", "2", "3"], await handler.WaitFor(6));
    }

    [Theory]
    [InlineData("consumeRetryEnabled", "false")]
    [InlineData("backOffMaxRetries", "0")]
    public async Task Without_retries_a_message_that_failed_is_skipped_and_told(string field, string value)
    {
        var log = new WrittenLog();
        await using var broker = await OpenAsync(log, (field, value));
        var handler = new CollectingHandler(text => text == "2" ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 3);

        Assert.Equal(["1", "2", "3"], await handler.WaitFor(3));
        await log.WaitFor("failed at app and are skipped");
    }

    [Fact]
    public async Task In_bulk_a_batch_is_what_is_there_and_only_what_failed_is_handled_again_before_the_next()
    {
        await using var broker = (IBulkPubSub)await OpenAsync();
        await PublishAsync(broker, 1, 10);
        var batches = new List<IReadOnlyList<string>>();
        var toFail = new HashSet<string> { "2", "4" };
        var handler = new CollectingHandler(text => toFail.Remove(text) ? DeliveryResult.Failed : DeliveryResult.Done);

        await using var subscription = await broker.SubscribeManyAsync(
            Orders,
            5,
            (batch, stop) =>
            {
                batches.Add([.. batch.Messages.Select(message => Encoding.UTF8.GetString(message.Data.Span))]);
                batch.LetNextCome();
                return handler.HandleBatch(batch, stop);
            },
            Cancellation);

        await handler.WaitFor(12);
        Assert.Equal(Numbers(1, 10), batches.SelectMany(batch => batch).Distinct().OrderBy(int.Parse));
        Assert.All(batches, batch => Assert.InRange(batch.Count, 1, 5));
        // However many a batch had of them, they come again next, alone.
        foreach (var text in new[] { "2", "4" })
        {
            var failedIn = batches.FindIndex(batch => batch.Contains(text));
            Assert.Equal(batches[failedIn].Intersect(["2", "4"]), batches[failedIn + 1]);
        }
    }

    [Fact]
    public async Task What_was_handled_does_not_come_to_the_next_process_and_what_failed_does()
    {
        var handler = new CollectingHandler(text => text == "3" ? DeliveryResult.Failed : DeliveryResult.Done);
        await using (var broker = await OpenAsync())
        {
            await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
            await PublishAsync(broker, 1, 5);
            await handler.WaitFor(3);
        }

        await using var next = await OpenAsync();
        var later = new CollectingHandler();
        await using var subscription = await next.SubscribeAsync(Orders, later.Handle, Cancellation);

        Assert.Equal(["3", "4", "5"], await later.WaitFor(3));
    }

    [Fact]
    public async Task A_subscription_that_ended_gets_nothing_more_and_waits_for_what_it_has_in_hand()
    {
        await using var broker = await OpenAsync();
        var (gate, handler, later) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 2);
        await handler.WaitFor(1);

        var ending = subscription.DisposeAsync().AsTask();
        Assert.False(ending.IsCompleted);
        gate.SetResult();
        await ending;
        await using var again = await broker.SubscribeAsync(Orders, later.Handle, Cancellation);

        Assert.Equal(["2"], await later.WaitFor(1));
        Assert.Equal(["1"], handler.Received);
    }

    [Fact]
    public async Task Replicas_share_the_partitions_and_when_they_are_shared_out_anew_nothing_is_lost()
    {
        await using var one = await OpenAsync();
        await using var two = await OpenAsync();
        var (first, second) = (new CollectingHandler(), new CollectingHandler());
        await using var subscription = await one.SubscribeAsync(Orders, first.Handle, Cancellation);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var published = 0;
        var publishing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await PublishAsync(one, published + 1, published + 4, key: $"{published}");
                published += 4;
            }
        }, Cancellation);

        await first.WaitFor(1);
        await using (await two.SubscribeAsync(Orders, second.Handle, Cancellation))
            await second.WaitFor(100);
        var then = first.Received.Count;
        await UntilAsync(() => first.Received.Count > then + 100);
        await stop.CancelAsync();
        await publishing;

        await UntilAsync(() => Numbers(1, published).All(first.Received.Concat(second.Received).ToHashSet().Contains));
    }

    [Fact]
    public async Task A_partition_with_more_than_its_buffer_is_paused_and_everything_comes()
    {
        await using var broker = await OpenAsync(("channelBufferSize", "4"));
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 40);
        await handler.WaitFor(1);
        gate.SetResult();

        Assert.Equal(Numbers(1, 40), await handler.WaitFor(40));
    }

    [Fact]
    public async Task A_group_that_begins_with_the_newest_keeps_its_place_also_before_its_first_message()
    {
        await using var broker = await OpenAsync(("initialOffset", "newest"));
        await PublishAsync(broker, 1, 3);
        var log = new WrittenLog();
        await using var other = await OpenAsync(log, ("initialOffset", "newest"));
        var handler = new CollectingHandler();
        await using (await other.SubscribeAsync(Orders, new CollectingHandler().Handle, Cancellation))
            await log.WaitFor("orders [[3]] begins at");

        await PublishAsync(broker, 4, 6);
        await using var subscription = await other.SubscribeAsync(Orders, handler.Handle, Cancellation);

        Assert.Equal(Numbers(4, 6), await handler.WaitFor(3));
    }

    [Fact]
    public async Task Compressed_messages_and_long_ones_arrive()
    {
        await using var broker = await OpenAsync(("compression", "zstd"), ("maxMessageBytes", "4000000"));
        var text = new string('x', 3_000_000);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);

        await broker.PublishAsync("orders", new(Bytes(text), null, null), Cancellation);

        Assert.Equal([text], await handler.WaitFor(1));
    }

    [Fact]
    public async Task The_group_is_the_components_or_the_consumer_id()
    {
        await using var one = await OpenAsync(("consumerGroup", "g"));
        await using var two = await OpenAsync();
        var (handler, same) = (new CollectingHandler(), new CollectingHandler());
        await PublishAsync(one, 1, 3);
        await using (await one.SubscribeAsync(Orders, handler.Handle, Cancellation))
            await handler.WaitFor(3);
        await PublishAsync(one, 4, 4);

        await using var subscription = await two.SubscribeAsync(Orders with { ConsumerId = "g" }, same.Handle, Cancellation);

        Assert.Equal(["4"], await same.WaitFor(1));
    }

    [Fact]
    public async Task It_says_of_itself_what_daprd_says()
    {
        await using var broker = await OpenAsync();

        Assert.Equal(["BULK_PUBSUB"], broker.Capabilities);
    }

    [Fact]
    public async Task A_subscription_that_asks_for_avro_is_refused()
    {
        await using var broker = await OpenAsync();

        await Assert.ThrowsAsync<ArgumentException>(() => broker.SubscribeAsync(
            Orders with { Metadata = new Dictionary<string, string> { ["valueSchemaType"] = "Avro" } }, new CollectingHandler().Handle, Cancellation));
    }

    private static Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> Keep(List<BrokerMessage> received, CollectingHandler handler) => (message, stop) =>
    {
        received.Add(message);
        return handler.Handle(message, stop);
    };
}
