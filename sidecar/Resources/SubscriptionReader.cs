namespace DaprOrders.Sidecar.Resources;

/// <summary>Reads <c>kind: Subscription</c>: v2alpha1 with routes, v1alpha1 with one route.</summary>
internal static class SubscriptionReader
{
    public const string Version1 = "dapr.io/v1alpha1";
    public const string Version2 = "dapr.io/v2alpha1";

    public static SubscriptionResource Read(YamlMap document, string name, string apiVersion)
    {
        var spec = document.RequiredMap("spec");
        var subscription = new SubscriptionResource(
            name,
            spec?.RequiredText("pubsubname", "the name of a pub/sub component") ?? "",
            spec?.RequiredText("topic", "a topic") ?? "",
            spec is null ? [] : apiVersion == Version1 ? ReadRoute(spec) : ReadRoutes(spec),
            spec?.Text("deadLetterTopic") is { Length: > 0 } topic ? topic : null,
            spec?.TextMap("metadata") ?? new Dictionary<string, string>(),
            spec?.Map("bulkSubscribe") is { } bulk ? ReadBulk(bulk) : null,
            document.Texts("scopes"),
            document.Location);
        spec?.EndOfFields();
        return subscription;
    }

    private static List<RouteRule> ReadRoute(YamlMap spec) => [new("", spec.RequiredText("route", "a path such as /orders"))];

    private static List<RouteRule> ReadRoutes(YamlMap spec)
    {
        var routes = spec.RequiredMap("routes");
        if (routes is null)
            return [];

        var rules = new List<RouteRule>();
        foreach (var rule in routes.Maps("rules"))
        {
            rules.Add(new(rule.Text("match") ?? "", rule.RequiredText("path", "a path such as /orders")));
            rule.EndOfFields();
        }

        if (routes.Text("default") is { Length: > 0 } path)
            rules.Add(new("", path));
        if (rules.Count == 0)
            routes.Error("expected routes.default or routes.rules with a path, got neither");
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
