using System.Collections.Concurrent;
using System.Text;
using EmbeddedSidecar.Components.PubSub;
using static DaprOrders.Sidecar.Tests.PubSub.BrokerTests;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.kafka while its broker cannot be reached: what was confirmed comes, and subscriptions go on by themselves.</summary>
public sealed class KafkaOutageTests : KafkaTestsBase
{
    private protected override string SessionTimeout => "2s";

    [Fact]
    public async Task A_broker_that_is_away_in_the_middle_loses_nothing_that_was_confirmed()
    {
        await using var broker = await OpenAsync();
        var (handled, confirmed) = (new ConcurrentDictionary<string, bool>(), new ConcurrentDictionary<string, bool>());
        var (enough, failed) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var subscription = await broker.SubscribeAsync(
            Orders,
            (message, _) =>
            {
                handled[Encoding.UTF8.GetString(message.Data.Span)] = true;
                return Task.FromResult(DeliveryResult.Done);
            },
            Cancellation);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var publishing = Task.WhenAll(Enumerable.Range(0, 4).Select(PublishAsync));
        await enough.Task.WaitAsync(Cancellation);

        Server.Cable.Cut();
        // It is away for longer than a publication waits.
        await failed.Task.WaitAsync(Cancellation);
        var before = confirmed.Count;
        Server.Cable.Mend();

        await UntilAsync(() => confirmed.Count > before + 100);
        await stop.CancelAsync();
        await publishing;
        await UntilAsync(() => confirmed.Keys.All(handled.ContainsKey));

        async Task PublishAsync(int publisher)
        {
            for (var n = 0; !stop.IsCancellationRequested; n++)
            {
                if ((await broker.PublishManyAsync("orders", [new(Bytes($"{publisher}-{n}"), null, null)], Cancellation))[0] is null)
                    confirmed[$"{publisher}-{n}"] = true;
                else
                    failed.TrySetResult();
                if (confirmed.Count > 100)
                    enough.TrySetResult();
            }
        }
    }

    [Fact]
    public async Task A_publication_that_is_not_confirmed_fails_and_nobody_waits_for_ever()
    {
        await using var broker = await OpenAsync();
        Server.Cable.Cut();

        var failure = await Assert.ThrowsAsync<IOException>(() => broker.PublishAsync("orders", new(Bytes("1"), null, null), Cancellation));

        Assert.StartsWith("kafka: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_process_had_in_hand_when_it_was_cut_off_comes_to_another_member_of_the_group()
    {
        await using var one = await OpenAsync();
        var (gate, held, handler) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        await one.SubscribeAsync(Orders, held.Gated(gate.Task), Cancellation);
        await PublishAsync(one, 1, 3);
        await held.WaitFor(1);

        Server.Cable.Cut();
        Assert.NotNull((await one.PublishManyAsync("orders", [new(Bytes("4"), null, null)], Cancellation))[0]);
        Server.Cable.Mend();
        await using var two = await OpenAsync();
        await using var subscription = await two.SubscribeAsync(Orders, handler.Handle, Cancellation);
        gate.SetResult();

        await UntilAsync(() => Numbers(1, 3).All(held.Received.Concat(handler.Received).Contains));
    }

    [Fact]
    public async Task It_ends_also_while_the_broker_is_away_and_messages_are_in_hand()
    {
        var broker = await OpenAsync();
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await broker.SubscribeAsync(Orders, handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 3);
        await handler.WaitFor(1);

        Server.Cable.Cut();
        gate.SetResult();

        await broker.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2), Cancellation);
    }

    [Fact]
    public async Task A_broker_that_came_back_empty_is_read_from_its_beginning()
    {
        await using var broker = await OpenAsync();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Orders, handler.Handle, Cancellation);
        await PublishAsync(broker, 1, 5);
        await handler.WaitFor(5);

        await Server.KillAsync(Cancellation);
        await Server.StartAgainAsync(Cancellation);
        // Its producer is one that this broker has never heard of.
        await BrokerTests.UntilAsync(
            async () => (await broker.PublishManyAsync("orders", [new(Bytes("6"), null, null)], Cancellation))[0] is null, TimeSpan.FromMinutes(2));

        await UntilAsync(() => handler.Received.Contains("6"));
    }
}
