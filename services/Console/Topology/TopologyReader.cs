using System.Text.Json.Serialization;
using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Topology;

public sealed record SubscriptionOf(string PubSubName, string Topic, string? DeadLetterTopic);

public sealed record ComponentOf(string Name, string Type);

public sealed record ActorsOf(string Type, int Count);

public sealed record NameOf(string Name);

/// <summary>Dapr's metadata, as far as a picture needs it.</summary>
public sealed record Sidecar(
    string Id,
    string? RuntimeVersion,
    IReadOnlyList<ComponentOf>? Components,
    IReadOnlyList<SubscriptionOf>? Subscriptions,
    IReadOnlyList<ActorsOf>? Actors,
    IReadOnlyList<NameOf>? HttpEndpoints);

/// <summary>Of a replica, the calls of its sidecar since that started, by the name of the other side.</summary>
public sealed record CallCounts(IReadOnlyDictionary<string, long> Called, IReadOnlyDictionary<string, long> CalledBy);

/// <summary>What has gone through a replica: only two answers of the same one make a rate.</summary>
/// <param name="Calls">Null where its sidecar does not tell; <paramref name="Silent"/> says why.</param>
public sealed record Traffic(
    string Instance, CallCounts? Calls, string? Silent, IReadOnlyDictionary<string, long> Published, IReadOnlyDictionary<string, long> Delivered);

/// <param name="Commits">Of all lanes of its log; null where it has none, or does not tell.</param>
/// <param name="NoLogs">Why it is not known whose logs it follows, or how far its own is.</param>
public sealed record Node(string App, Answer<Health> Health, Answer<Sidecar> Sidecar, Answer<Traffic> Traffic, long? Commits, Failure? NoLogs = null)
{
    /// <summary>Why something of it is not shown.</summary>
    [JsonIgnore]
    public Failure? Failure => Health.Failure ?? Sidecar.Failure ?? Traffic.Failure ?? NoLogs;
}

/// <param name="Publisher">Null when nobody who takes it tells whose it is.</param>
public sealed record TopicNode(string Topic, string? Publisher, IReadOnlyList<string> Takers);

public sealed record LogReader(string Reader, string Publisher);

/// <param name="Nodes">Without their components and subscriptions, which are told in the other fields.</param>
/// <param name="Components">Of all sidecars, each once.</param>
public sealed record TopologyState(
    DateTimeOffset At, IReadOnlyList<Node> Nodes, IReadOnlyList<TopicNode> Topics, IReadOnlyList<LogReader> LogReaders, IReadOnlyList<string> Components);

/// <summary>Who publishes what and who takes it, drawn from what the sidecars have subscribed, not from what files say.</summary>
public sealed class TopologyReader(ServicesClient services, TimeProvider time)
{
    public async Task<TopologyState> ReadAsync(CancellationToken cancellationToken)
    {
        var read = await Task.WhenAll(Apps.All.Select(async app =>
        {
            var sidecar = services.GetAsync<Sidecar>(app, "sidecar", cancellationToken);
            var traffic = services.GetAsync<Traffic>(app, "traffic", cancellationToken);
            var health = services.GetHealthAsync(app, cancellationToken);
            var asked = services.GetAsync<CatchUp>(app, "catch-up", cancellationToken);
            var lanes = Apps.Publishers.Contains(app) ? await services.GetAsync<Lanes>(app, "event-log", cancellationToken) : default;
            var catchUp = await asked;
            return (Node: new Node(app, await health, await sidecar, await traffic, lanes.Value?.All.Sum(lane => lane.Settled), catchUp.Failure ?? lanes.Failure), CatchUp: catchUp);
        }));
        var publishers = read.Where(app => app.CatchUp.IsHere).SelectMany(app => app.CatchUp.Value!.Publishers)
            .SelectMany(publisher => publisher.Topics.Select(topic => (topic, publisher.Publisher)))
            .DistinctBy(found => found.topic).ToDictionary(found => found.topic, found => found.Publisher);
        var subscriptions = read.SelectMany(app => (app.Node.Sidecar.Value?.Subscriptions ?? []).Select(subscription => (app.Node.App, Subscription: subscription))).ToList();
        var deadLetters = subscriptions.Select(found => found.Subscription.DeadLetterTopic).OfType<string>().ToHashSet();
        return new(
            time.GetUtcNow(),
            [.. read.Select(app => app.Node with { Sidecar = Shortened(app.Node.Sidecar) })],
            [.. subscriptions.Where(found => !deadLetters.Contains(found.Subscription.Topic)).GroupBy(found => found.Subscription.Topic)
                .Select(topic => new TopicNode(topic.Key, publishers.GetValueOrDefault(topic.Key), [.. topic.Select(found => found.App).Distinct()]))
                .OrderBy(topic => topic.Publisher is { } publisher ? Apps.All.ToList().IndexOf(publisher) : int.MaxValue).ThenBy(topic => topic.Topic, StringComparer.Ordinal)],
            [.. read.Where(app => app.CatchUp.IsHere).SelectMany(app => app.CatchUp.Value!.Publishers.Select(publisher => new LogReader(app.Node.App, publisher.Publisher)))],
            [.. read.SelectMany(app => app.Node.Sidecar.Value?.Components ?? []).Select(component => $"{component.Name} ({component.Type})").Distinct().Order(StringComparer.Ordinal)]);
    }

    private static Answer<Sidecar> Shortened(Answer<Sidecar> sidecar) =>
        sidecar.IsHere ? new(sidecar.Value with { Components = null, Subscriptions = null }, null) : sidecar;
}
