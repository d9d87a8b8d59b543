using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub.JetStream;
using EmbeddedSidecar.Resources;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// The step before the first start on NATS: a stream for each topic that the components and Subscription files of a run file name, on the server that
/// the component names, or at an address that is given. For daprd too, and on every system.
/// </summary>
internal static class StreamsCommand
{
    private const string ServerField = "natsURL";

    /// <param name="server">Null: that of the components.</param>
    public static Task<int> RunAsync(LaunchOptions options, string? server, IReadOnlyCollection<string> topics, int replicas, LaunchConsole console, CancellationToken cancellationToken) =>
        Launch.GuardAsync(console, async () =>
        {
            var plan = LaunchPlan.Read(options);
            await using var catalog = new ComponentCatalog(NullLoggerFactory.Instance, TimeProvider.System);
            var seen = new HashSet<string>();
            foreach (var sidecar in plan.Sidecars)
            {
                var resources = ResourceLoader.Load(sidecar.ResourcesPaths);
                foreach (var broker in await LoadAsync(catalog, sidecar, resources, server, cancellationToken))
                {
                    foreach (var topic in TopicsOf(broker, resources).Concat(topics).Where(topic => seen.Add($"{broker.Name} {topic}")))
                        await AddAsync(broker, topic, replicas, console, cancellationToken);
                }
            }

            if (seen.Count == 0)
                throw new LaunchException($"No component of {plan.RunFile.Path} is a pubsub.jetstream with topics. Name its folder: --resources-path components/nats");
            return 0;
        }, cancellationToken);

    /// <summary>The brokers alone, and the secret stores that their metadata may come from.</summary>
    private static async Task<IEnumerable<LoadedComponent>> LoadAsync(
        ComponentCatalog catalog, SidecarOptions sidecar, ResourceSet resources, string? server, CancellationToken cancellationToken)
    {
        var brokers = resources.Components.Where(component => component.Type == JetStreamPubSub.ComponentType.Name);
        var secretStores = resources.Components.Where(component => component.Type.StartsWith("secretstores.", StringComparison.Ordinal));
        var needed = secretStores.Concat(server is null ? brokers : brokers.Select(broker => At(server, broker)));
        var loaded = await catalog.LoadAsync([.. needed], sidecar.AppId, sidecar.Namespace, sidecar.Folder ?? Environment.CurrentDirectory, cancellationToken);
        return loaded.Where(component => component.Instance is JetStreamPubSub);
    }

    private static ComponentResource At(string server, ComponentResource broker) => broker with
    {
        Metadata =
        [
            .. broker.Metadata.Where(item => !item.Name.Equals(ServerField, StringComparison.OrdinalIgnoreCase)),
            new MetadataItem(ServerField, server, null, null, broker.Location),
        ],
    };

    private static IEnumerable<string> TopicsOf(LoadedComponent broker, ResourceSet resources) => resources.Subscriptions
        .Where(subscription => subscription.PubSubName == broker.Name)
        .SelectMany(subscription => new[] { subscription.Topic, subscription.DeadLetterTopic })
        .OfType<string>()
        .Concat(TopicScopes.Named(broker.Metadata));

    private static async Task AddAsync(LoadedComponent broker, string topic, int replicas, LaunchConsole console, CancellationToken cancellationToken)
    {
        try
        {
            if (await ((JetStreamPubSub)broker.Instance).AddStreamAsync(topic, replicas, cancellationToken))
                console.Good("made", $"a stream for {topic}");
            else
                console.Line($"there is a stream for {topic}");
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new LaunchException($"No stream for {topic} of {broker.Name} could be made: {error.Message}", error);
        }
    }
}
