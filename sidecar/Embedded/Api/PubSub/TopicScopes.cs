using EmbeddedSidecar.Components;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>Which topics one application may publish to and subscribe to (pkg/scopes, pkg/runtime/pubsub/adapter.go).</summary>
internal sealed class TopicScopes
{
    private readonly HashSet<string> _allowed;
    private readonly HashSet<string> _protected;
    private readonly HashSet<string> _publishing;
    private readonly HashSet<string> _subscribing;

    public TopicScopes(ComponentMetadata metadata, string appId)
    {
        _allowed = Topics(Read(metadata, "allowedTopics"));
        _protected = Topics(Read(metadata, "protectedTopics"));
        _publishing = OfApp(Read(metadata, "publishingScopes"), appId);
        _subscribing = OfApp(Read(metadata, "subscriptionScopes"), appId);
    }

    /// <summary>Every topic that a component's scopes and lists name.</summary>
    public static IReadOnlySet<string> Named(ComponentMetadata metadata) => new HashSet<string>(
    [
        .. Topics(Read(metadata, "allowedTopics")), .. Topics(Read(metadata, "protectedTopics")),
        .. OfAnyApp(Read(metadata, "publishingScopes")), .. OfAnyApp(Read(metadata, "subscriptionScopes")),
    ]);

    public bool MayPublish(string topic) => IsAllowed(topic, _publishing);

    public bool MaySubscribe(string topic) => IsAllowed(topic, _subscribing);

    private static string Read(ComponentMetadata metadata, string field) => metadata.Text(field, "").Replace(" ", "", StringComparison.Ordinal);

    private static HashSet<string> Topics(string list) => list.Length == 0 ? [] : [.. list.Split(',')];

    /// <summary><c>app1=topicA,topicB;app2=</c>: an app that is listed with nothing gets one topic without a name, so none at all.</summary>
    private static HashSet<string> OfApp(string scopes, string appId) =>
        [.. scopes.Split(';').Select(scope => scope.Split('=')).Where(scope => scope.Length > 1 && scope[0] == appId).SelectMany(scope => scope[1].Split(','))];

    private static IEnumerable<string> OfAnyApp(string scopes) =>
        scopes.Split(';').Select(scope => scope.Split('=')).Where(scope => scope.Length > 1).SelectMany(scope => Topics(scope[1]));

    private bool IsAllowed(string topic, HashSet<string> scope)
    {
        if (_allowed.Count > 0 && !_allowed.Contains(topic))
            return false;
        return (scope.Count == 0 && !_protected.Contains(topic)) || scope.Contains(topic);
    }
}
