using System.Collections.Concurrent;
using System.Text.Json;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components.PubSub;
using Microsoft.Extensions.Time.Testing;
using static DaprOrders.Sidecar.Tests.PubSub.BrokerTests;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.jetstream while its server, its consumer or a process goes away: what was acknowledged comes, and subscriptions go on.</summary>
public sealed class JetStreamOutageTests : JetStreamTestsBase
{
    [Theory]
    [InlineData(false, "app")]
    [InlineData(true, "app")]
    [InlineData(false, "")]
    [InlineData(true, "")]
    public async Task A_server_that_is_stopped_or_killed_in_the_middle_and_started_again_loses_nothing_that_was_acknowledged(bool killed, string durable)
    {
        await using var broker = await OpenAsync(durable, ("ackWait", "2s"));
        var (handled, acknowledged, enough) = (new ConcurrentDictionary<string, bool>(), new ConcurrentDictionary<string, bool>(), new TaskCompletionSource());
        await using var subscription = await broker.SubscribeAsync(
            Orders,
            (message, _) =>
            {
                handled[JetStreamIds.Of(message)] = true;
                return Task.FromResult(DeliveryResult.Done);
            },
            Cancellation);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var publishing = Task.WhenAll(Enumerable.Range(0, 8).Select(publisher => PublishAsync(publisher, acknowledged, enough, stop.Token)));
        await enough.Task.WaitAsync(Cancellation);

        if (killed)
            await Server.KillAsync(Cancellation);
        else
            await Server.StopAsync(Cancellation);
        await Server.StartAgainAsync(Cancellation);

        var before = acknowledged.Count;
        await UntilAsync(() => Task.FromResult(acknowledged.Count > before + 100));
        await stop.CancelAsync();
        await publishing;
        await UntilAsync(() => Task.FromResult(acknowledged.Keys.All(handled.ContainsKey)));

        async Task PublishAsync(int publisher, ConcurrentDictionary<string, bool> taken, TaskCompletionSource halfway, CancellationToken until)
        {
            for (var n = 0; !until.IsCancellationRequested; n++)
            {
                var id = $"{publisher}-{n}";
                if ((await broker.PublishManyAsync("orders", [new(Bytes($$"""{"id":"{{id}}"}"""), null, null)], Cancellation))[0] is null)
                    taken[id] = true;
                if (taken.Count > 200)
                    halfway.TrySetResult();
            }
        }
    }

    [Fact]
    public async Task What_a_process_had_in_hand_when_it_was_cut_off_comes_again_to_another_after_the_ack_wait()
    {
        await using var cable = new Cable(Server.Port);
        await using var one = await OpenAsync("app", new WrittenLog(), [("ackWait", "2s"), ("concurrencyMode", "parallel")], cable.Port);
        await using var two = await OpenAsync("app", ("ackWait", "2s"));
        var (gate, held, handler) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        await one.SubscribeAsync(Orders, held.Gated(gate.Task), Cancellation);
        await PublishAsync(two, 1, 3);
        await held.WaitFor(3);

        cable.Cut();
        await using var subscription = await two.SubscribeAsync(Orders, handler.Handle, Cancellation);

        Assert.Equal(["1", "2", "3"], (await handler.WaitFor(3)).Order());
        await UntilAsync(async () => (await ConsumerAsync("app")).NumAckPending == 0);
        gate.SetResult();
    }

    [Fact]
    public async Task What_was_handled_while_the_server_was_away_is_acknowledged_when_it_is_back_and_does_not_come_again()
    {
        await using var cable = new Cable(Server.Port);
        await using var broker = await OpenAsync("app", new WrittenLog(), [("ackWait", "1h"), ("concurrencyMode", "parallel")], cable.Port);
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 3);
        await handler.WaitFor(3);

        cable.Cut();
        await UntilAsync(async () => !(await ConsumerAsync("app")).PushBound);
        gate.SetResult();
        cable.Mend();

        await UntilAsync(async () => (await ConsumerAsync("app")).NumAckPending == 0);
        Assert.Equal(3, handler.Received.Count);
    }

    [Fact]
    public async Task A_publication_that_gets_no_answer_fails_and_nobody_waits_for_ever()
    {
        await using var cable = new Cable(Server.Port);
        await using var broker = await OpenAsync("app", new WrittenLog(), [], cable.Port);
        cable.Cut();

        var failure = await Assert.ThrowsAsync<IOException>(() => broker.PublishAsync("orders", new(Bytes("1"), null, null), Cancellation));

        Assert.StartsWith("nats: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_ends_also_while_the_server_is_away_and_messages_are_in_hand()
    {
        await using var cable = new Cable(Server.Port);
        var broker = await OpenAsync("app", new WrittenLog(), [], cable.Port);
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 50);
        await handler.WaitFor(1);

        cable.Cut();
        gate.SetResult();

        await broker.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2), Cancellation);
    }

    [Theory]
    [InlineData("app")]
    [InlineData("")]
    public async Task A_consumer_that_somebody_removed_is_made_again_and_one_without_a_name_goes_on_where_it_was(string durable)
    {
        var time = new FakeTimeProvider();
        await using var broker = await OpenAsync(durable, new WrittenLog(), [], time: time);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
        await PublishAsync(broker, 1, 2);
        await handler.WaitFor(2);
        string name = "";
        await foreach (var consumer in JetStream.ListConsumersAsync("orders", Cancellation))
            name = consumer.Info.Name;
        await UntilAsync(async () => (await ConsumerAsync(name)).NumAckPending == 0);

        await JetStream.DeleteConsumerAsync("orders", name, Cancellation);
        await PublishAsync(broker, 3, 3);
        await UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(handler.Received.Contains("3"));
        });

        Assert.Equal(durable.Length > 0 ? ["1", "2", "1", "2", "3"] : ["1", "2", "3"], handler.Received);
    }

    [Fact]
    public async Task A_stream_that_was_removed_and_made_again_is_read_from_its_beginning()
    {
        var time = new FakeTimeProvider();
        await using var broker = await OpenAsync("", new WrittenLog(), [], time: time);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
        await PublishAsync(broker, 1, 5);
        await handler.WaitFor(5);

        await JetStream.DeleteStreamAsync("orders", Cancellation);
        await Server.AddStreamsAsync(["orders"], Cancellation);
        await PublishAsync(broker, 6, 7);
        await UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(handler.Received.Contains("7"));
        });

        Assert.Equal(Numbers(1, 7), handler.Received);
    }

    private static class JetStreamIds
    {
        public static string Of(BrokerMessage message)
        {
            using var json = JsonDocument.Parse(message.Data);
            return json.RootElement.GetProperty("id").GetString()!;
        }
    }
}
