using System.Runtime.CompilerServices;
using System.Text;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>What the tests of brokers have in common.</summary>
internal static class BrokerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static ReadOnlyMemory<byte> Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static ComponentMetadata Metadata(string type, params (string Name, string Value)[] fields)
    {
        var resource = Sidecars.Component("pubsub", type, fields);
        return new ComponentMetadata(resource, resource.Metadata.Select(field => new MetadataValue(field.Name, field.Value!, field.Location)));
    }

    /// <summary>Each number is a message.</summary>
    public static async Task PublishAsync(IPubSub broker, int from, int to, string topic = "orders")
    {
        for (var n = from; n <= to; n++)
            await broker.PublishAsync(topic, new(Bytes($"{n}"), null, null), Cancellation);
    }

    public static async Task UntilAsync(
        Func<Task<bool>> holds, TimeSpan limit, [CallerArgumentExpression(nameof(holds))] string what = "")
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        end.CancelAfter(limit);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await holds())
        {
            try
            {
                await timer.WaitForNextTickAsync(end.Token);
            }
            catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
            {
                Assert.Fail($"It did not become true within {limit.TotalSeconds:0} s: {what}");
            }
        }
    }
}
