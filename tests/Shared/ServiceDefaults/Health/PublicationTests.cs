using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Health;
using DaprOrders.Tests;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging.Abstractions;
using Moq;

namespace DaprOrders.ServiceDefaults.Tests.Health;

public sealed class PublicationTests
{
    private static readonly StreamCategory<int, LetterEvent> Letters = new("letter", "letters", 0, (count, _) => count + 1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_the_broker_refuses_an_event_the_service_is_ready_and_says_so()
    {
        var broker = new Mock<IEventPublisher>();
        broker.Setup(publisher => publisher.PublishAsync(
                "letters", It.Is<IReadOnlyList<RecordedEvent>>(events => events.Any(e => e.Stream == "letter-large")), It.IsAny<CancellationToken>()))
            .ThrowsAsync(new InvalidOperationException("message too large"));
        var store = new EventStore(
            new MemoryState(),
            broker.Object,
            Mock.Of<IPublisherStreams>(),
            new EventTypes().AddFamily<LetterEvent>(),
            new EventStoreOptions { PublishAttempts = 1 },
            TimeProvider.System,
            NullLogger<EventStore>.Instance);
        var running = store.RunAsync();
        await SendAsync(store, "small");
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(store)).Status);

        await SendAsync(store, "large");
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (store.ParkedCount == 0)
        {
            await ticks.WaitForNextTickAsync(Cancel);
        }

        var health = await CheckAsync(store);
        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.StartsWith("1 events are parked", health.Description, StringComparison.Ordinal);
        await store.StopAsync(Cancel);
        await running;
    }

    private static Task<Handled<int>> SendAsync(EventStore store, string id) =>
        store.HandleAsync(Letters, id, _ => new LetterSent(id, "Ann"), new CommandContext(), Cancel);

    private static async Task<HealthCheckResult> CheckAsync(EventStore store)
    {
        await using var services = new ServiceCollection().AddSingleton(store).BuildServiceProvider();
        return await new EventsArePublished(services).CheckHealthAsync(new HealthCheckContext(), Cancel);
    }
}
