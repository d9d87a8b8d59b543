namespace EmbeddedSidecar.Resources;

/// <summary>Reads <c>kind: Subscription</c>: v2alpha1 with routes, v1alpha1 with one route.</summary>
internal static class SubscriptionReader
{
    public const string Version1 = "dapr.io/v1alpha1";
    public const string Version2 = "dapr.io/v2alpha1";

    /// <summary>Null where it lacks what it subscribes: Dapr then gets no message by it.</summary>
    public static SubscriptionResource? Read(YamlMap document, string name, string apiVersion)
    {
        var spec = document.Map("spec");
        var (broker, topic) = (spec?.Text("pubsubname") ?? "", spec?.Text("topic") ?? "");
        if (broker.Length == 0 || topic.Length == 0)
        {
            (spec ?? document).Warning(
                $"expected {(broker.Length == 0 ? "the name of a pub/sub component" : "a topic")}, got nothing; Dapr delivers nothing by this subscription",
                spec is null ? null : broker.Length == 0 ? "pubsubname" : "topic");
            return null;
        }

        var subscription = new SubscriptionResource(
            name,
            broker,
            topic,
            apiVersion == Version1 ? ReadRoute(spec!, topic) : ReadRoutes(spec!, topic),
            spec!.Text("deadLetterTopic") is { Length: > 0 } deadLetters ? deadLetters : null,
            spec.TextMap("metadata"),
            spec.Map("bulkSubscribe") is { } bulk ? ReadBulk(bulk) : null,
            document.Texts("scopes"),
            document.Location)
        {
            NameLocation = document.Map("metadata")?.LocationOf("name") ?? document.Location,
            PubSubLocation = spec.LocationOf("pubsubname"),
            TopicLocation = spec.LocationOf("topic"),
        };
        spec.EndOfFields();
        return subscription;
    }

    private static List<RouteRule> ReadRoute(YamlMap spec, string topic)
    {
        if (spec.Text("route") is { Length: > 0 } route)
            return [new("", route)];
        spec.Skip("routes");
        spec.Warning(
            spec.Has("routes")
                ? $"{Version1} has no routes, but route; Dapr drops every message of {topic}"
                : $"expected a path such as /orders, got nothing; Dapr drops every message of {topic}",
            spec.Has("routes") ? "routes" : "route");
        return [];
    }

    private static List<RouteRule> ReadRoutes(YamlMap spec, string topic)
    {
        var routes = spec.Map("routes");
        if (routes is null)
        {
            spec.Warning(
                spec.Has("route")
                    ? $"{Version2} has no route, but routes.default; Dapr drops every message of {topic}"
                    : $"expected routes.default or routes.rules with a path, got nothing; Dapr drops every message of {topic}",
                spec.Has("route") ? "route" : "routes");
            return [];
        }

        var rules = new List<RouteRule>();
        foreach (var rule in routes.Maps("rules"))
        {
            rules.Add(new(rule.Text("match") ?? "", rule.RequiredText("path", "a path such as /orders")) { Location = rule.LocationOf("match") });
            rule.EndOfFields();
        }

        if (routes.Text("default") is { Length: > 0 } path)
            rules.Add(new("", path));
        if (rules.Count == 0)
            routes.Warning($"expected routes.default or routes.rules with a path, got neither; Dapr drops every message of {topic}");
        routes.EndOfFields();
        return rules;
    }

    private static BulkSubscribe ReadBulk(YamlMap map)
    {
        var bulk = new BulkSubscribe(
            map.Flag("enabled") ?? false,
            map.Integer("maxMessagesCount", minimum: 0) is > 0 and var count ? count : BulkSubscribe.DefaultMaxMessagesCount,
            map.Integer("maxAwaitDurationMs", minimum: 0) is > 0 and var await ? await : BulkSubscribe.DefaultMaxAwaitDurationMs);
        map.EndOfFields();
        return bulk;
    }
}
