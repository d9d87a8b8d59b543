using System.Text.Json;
using Dapr.AppCallback.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>
/// Reads what an application answers to GET /dapr/subscribe (pkg/runtime/pubsub/subscriptions.go). Names are matched without case. As with
/// daprd, a value of a wrong type makes nothing of the whole answer, and an entry without topic or route is left out.
/// </summary>
internal static class AppSubscriptions
{
    /// <summary>Those that can be used; of each of the others what it lacks.</summary>
    /// <exception cref="JsonException">The answer is no list of subscriptions.</exception>
    public static (IReadOnlyList<SubscriptionResource> Usable, IReadOnlyList<(string Topic, string Missing)> LeftOut) Read(ReadOnlyMemory<byte> answer)
    {
        using var json = JsonDocument.Parse(answer, GoJson.DocumentOptions);
        var (usable, leftOut) = (new List<SubscriptionResource>(), new List<(string Topic, string Missing)>());
        foreach (var subscription in Items(json.RootElement, "the answer").Select(ReadOne))
        {
            if (subscription.Topic.Length == 0)
                leftOut.Add(("", "topic"));
            else if (subscription.Rules.Count == 0)
                leftOut.Add((subscription.Topic, "route"));
            else
                usable.Add(subscription);
        }

        return (usable, leftOut);
    }

    /// <summary>What an application that speaks gRPC answers; one without any routes gets its events without a path.</summary>
    public static SubscriptionResource Read(TopicSubscription subscription) => new(
        "",
        subscription.PubsubName,
        subscription.Topic,
        [
            .. subscription.Routes?.Rules.Select(rule => new RouteRule(rule.Match.Trim(), rule.Path)) ?? [],
            .. subscription.Routes is { Default: "", Rules.Count: > 0 } ? Array.Empty<RouteRule>() : [new("", subscription.Routes?.Default ?? "")],
        ],
        subscription.DeadLetterTopic is { Length: > 0 } deadLetters ? deadLetters : null,
        subscription.Metadata.ToDictionary(),
        subscription.BulkSubscribe is { Enabled: true } bulk
            ? new(
                true,
                bulk.MaxMessagesCount > 0 ? bulk.MaxMessagesCount : BulkSubscribe.DefaultMaxMessagesCount,
                bulk.MaxAwaitDurationMs > 0 ? bulk.MaxAwaitDurationMs : BulkSubscribe.DefaultMaxAwaitDurationMs)
            : null,
        [],
        default);

    private static SubscriptionResource ReadOne(JsonElement subscription)
    {
        var routes = Object(subscription, "routes");
        var rules = Items(Field(routes, "rules"), "'rules'").Select(rule => new RouteRule(Text(rule, "match").Trim(), Text(rule, "path"))).ToList();
        if (Text(routes, "default") is { Length: > 0 } fallback)
            rules.Add(new("", fallback));
        else if (Text(subscription, "route") is { Length: > 0 } route)
            rules.Add(new("", route));

        var bulk = Object(subscription, "bulkSubscribe");
        return new(
            "",
            Text(subscription, "pubsubname"),
            Text(subscription, "topic"),
            rules,
            Text(subscription, "deadLetterTopic") is { Length: > 0 } deadLetters ? deadLetters : null,
            Object(subscription, "metadata") is { ValueKind: JsonValueKind.Object } metadata ? GoJson.Fields(metadata, field => Text("metadata", field.Value)) : [],
            IsTrue(bulk, "enabled")
                ? new(
                    true,
                    Number(bulk, "maxMessagesCount", BulkSubscribe.DefaultMaxMessagesCount),
                    Number(bulk, "maxAwaitDurationMs", BulkSubscribe.DefaultMaxAwaitDurationMs))
                : null,
            [],
            default);
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement list, string what) => list.ValueKind switch
    {
        JsonValueKind.Array => list.EnumerateArray(),
        JsonValueKind.Undefined or JsonValueKind.Null => default,
        _ => throw Unexpected("a list", what, list),
    };

    private static JsonElement Object(JsonElement element, string name) => Field(element, name) switch
    {
        { ValueKind: JsonValueKind.Object or JsonValueKind.Undefined or JsonValueKind.Null } found => found,
        var other => throw Unexpected("an object", $"'{name}'", other),
    };

    private static string Text(JsonElement element, string name) => Text(name, Field(element, name));

    private static string Text(string name, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => GoJson.Text(value),
        JsonValueKind.Undefined or JsonValueKind.Null => "",
        _ => throw Unexpected("a text", $"'{name}'", value),
    };

    private static bool IsTrue(JsonElement element, string name) => Field(element, name) switch
    {
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False or JsonValueKind.Undefined or JsonValueKind.Null } => false,
        var other => throw Unexpected("true or false", $"'{name}'", other),
    };

    private static int Number(JsonElement element, string name, int standard) => Field(element, name) switch
    {
        { ValueKind: JsonValueKind.Undefined or JsonValueKind.Null } => standard,
        { ValueKind: JsonValueKind.Number } number when number.TryGetInt32(out var value) => value > 0 ? value : standard,
        var other => throw Unexpected("a whole number", $"'{name}'", other),
    };

    private static JsonElement Field(JsonElement element, string name)
    {
        if (element.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return default;
        if (element.ValueKind != JsonValueKind.Object)
            throw Unexpected("an object", $"the place of '{name}'", element);
        foreach (var property in element.EnumerateObject())
        {
            if (GoJson.Name(property).Equals(name, StringComparison.OrdinalIgnoreCase))
                return property.Value;
        }

        return default;
    }

    private static JsonException Unexpected(string expected, string where, JsonElement got) =>
        new($"expected {expected} in {where}, got {GoJson.Kind(got)}");
}
