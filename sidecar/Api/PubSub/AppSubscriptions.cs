using System.Text.Json;
using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Api.PubSub;

/// <summary>Reads what an application answers to GET /dapr/subscribe (pkg/runtime/pubsub/subscriptions.go). Names are matched without case.</summary>
internal static class AppSubscriptions
{
    /// <summary>Those with a route at least; the others are told by their topics.</summary>
    /// <exception cref="JsonException">The answer is no list of subscriptions.</exception>
    public static (IReadOnlyList<SubscriptionResource> Usable, IReadOnlyList<string> WithoutRoute) Read(JsonElement answer)
    {
        if (answer.ValueKind == JsonValueKind.Null)
            return ([], []);
        if (answer.ValueKind != JsonValueKind.Array)
            throw new JsonException($"expected a list of subscriptions, got {answer.ValueKind}");

        var all = answer.EnumerateArray().Select(ReadOne).ToList();
        return ([.. all.Where(one => one.Rules.Count > 0)], [.. all.Where(one => one.Rules.Count == 0).Select(one => one.Topic)]);
    }

    private static SubscriptionResource ReadOne(JsonElement subscription)
    {
        var routes = Field(subscription, "routes");
        var rules = new List<RouteRule>();
        if (Field(routes, "rules") is { ValueKind: JsonValueKind.Array } list)
            rules.AddRange(list.EnumerateArray().Select(rule => new RouteRule(Text(rule, "match").Trim(), Text(rule, "path"))));
        if (Text(routes, "default") is { Length: > 0 } fallback)
            rules.Add(new("", fallback));
        else if (Text(subscription, "route") is { Length: > 0 } route)
            rules.Add(new("", route));

        var bulk = Field(subscription, "bulkSubscribe");
        return new(
            "",
            Text(subscription, "pubsubname"),
            Text(subscription, "topic"),
            rules,
            Text(subscription, "deadLetterTopic") is { Length: > 0 } deadLetters ? deadLetters : null,
            Field(subscription, "metadata") is { ValueKind: JsonValueKind.Object } metadata
                ? metadata.EnumerateObject().ToDictionary(field => field.Name, field => field.Value.ToString())
                : [],
            Field(bulk, "enabled").ValueKind == JsonValueKind.True
                ? new(
                    true,
                    Number(bulk, "maxMessagesCount", BulkSubscribe.DefaultMaxMessagesCount),
                    Number(bulk, "maxAwaitDurationMs", BulkSubscribe.DefaultMaxAwaitDurationMs))
                : null,
            [],
            default);
    }

    private static JsonElement Field(JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
            return default;
        foreach (var property in element.EnumerateObject())
        {
            if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return property.Value;
        }

        return default;
    }

    private static string Text(JsonElement element, string name) => Field(element, name) switch
    {
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { ValueKind: JsonValueKind.Undefined or JsonValueKind.Null } => "",
        var other => throw new JsonException($"expected a text in '{name}', got {other.ValueKind}"),
    };

    private static int Number(JsonElement element, string name, int standard) =>
        Field(element, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var value) && value > 0 ? value : standard;
}
