using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf.Collections;

namespace EmbeddedSidecar.Api.Metadata;

/// <summary>The metadata as daprd's HTTP API writes it, which is not the JSON form of the message: older names, and what is empty is left out.</summary>
internal static class MetadataJson
{
    public static async Task WriteAsync(HttpContext context, GetMetadataResponse metadata)
    {
        using var body = new MemoryStream();
        await using (var writer = new Utf8JsonWriter(body))
            Write(writer, metadata);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body.GetBuffer().AsMemory(0, (int)body.Length), context.RequestAborted);
    }

    private static void Write(Utf8JsonWriter json, GetMetadataResponse metadata)
    {
        json.WriteStartObject();
        json.WriteString("id", metadata.Id);
        json.WriteString("runtimeVersion", metadata.RuntimeVersion);
        WriteTexts(json, "enabledFeatures", metadata.EnabledFeatures);
        WriteActors(json, "actors", metadata.ActorRuntime.ActiveActors);
        WriteList(json, "components", metadata.RegisteredComponents, component =>
        {
            json.WriteString("name", component.Name);
            json.WriteString("type", component.Type);
            json.WriteString("version", component.Version);
            WriteTexts(json, "capabilities", component.Capabilities);
        });
        WriteMap(json, "extended", metadata.ExtendedMetadata);
        WriteList(json, "subscriptions", metadata.Subscriptions, subscription => Write(json, subscription));
        WriteList(json, "httpEndpoints", metadata.HttpEndpoints, endpoint => json.WriteString("name", endpoint.Name));
        Write(json, metadata.AppConnectionProperties);
        json.WriteStartObject("actorRuntime");
        json.WriteString("runtimeStatus", metadata.ActorRuntime.RuntimeStatus.ToString().ToUpperInvariant());
        WriteActors(json, "activeActors", metadata.ActorRuntime.ActiveActors);
        json.WriteBoolean("hostReady", metadata.ActorRuntime.HostReady);
        WriteText(json, "placement", metadata.ActorRuntime.Placement);
        json.WriteEndObject();
        WriteList(json, "resiliencies", metadata.Resiliencies, resiliency => json.WriteString("name", resiliency.Name));
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, PubsubSubscription subscription)
    {
        json.WriteString("pubsubname", subscription.PubsubName);
        json.WriteString("topic", subscription.Topic);
        WriteMap(json, "metadata", subscription.Metadata);
        WriteList(json, "rules", subscription.Rules?.Rules ?? [], rule =>
        {
            WriteText(json, "match", rule.Match);
            WriteText(json, "path", rule.Path);
        });
        json.WriteString("deadLetterTopic", subscription.DeadLetterTopic);
        json.WriteString("type", subscription.Type.ToString().ToUpperInvariant());
    }

    private static void Write(Utf8JsonWriter json, AppConnectionProperties app)
    {
        json.WriteStartObject("appConnectionProperties");
        WriteNumber(json, "port", app.Port);
        WriteText(json, "protocol", app.Protocol);
        WriteText(json, "channelAddress", app.ChannelAddress);
        WriteNumber(json, "maxConcurrency", app.MaxConcurrency);
        if (app.Health is { } health)
        {
            json.WriteStartObject("health");
            WriteText(json, "healthCheckPath", health.HealthCheckPath);
            WriteText(json, "healthProbeInterval", health.HealthProbeInterval);
            WriteText(json, "healthProbeTimeout", health.HealthProbeTimeout);
            WriteNumber(json, "healthThreshold", health.HealthThreshold);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteActors(Utf8JsonWriter json, string name, IReadOnlyCollection<ActiveActorsCount> actors) =>
        WriteList(json, name, actors, actor =>
        {
            json.WriteString("type", actor.Type);
            WriteNumber(json, "count", actor.Count);
        });

    private static void WriteList<T>(Utf8JsonWriter json, string name, IReadOnlyCollection<T> items, Action<T> write)
    {
        if (items.Count == 0)
            return;
        json.WriteStartArray(name);
        foreach (var item in items)
        {
            json.WriteStartObject();
            write(item);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, RepeatedField<string> texts)
    {
        if (texts.Count == 0)
            return;
        json.WriteStartArray(name);
        foreach (var text in texts)
            json.WriteStringValue(text);
        json.WriteEndArray();
    }

    private static void WriteMap(Utf8JsonWriter json, string name, MapField<string, string> map)
    {
        if (map.Count == 0)
            return;
        json.WriteStartObject(name);
        foreach (var (key, value) in map.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            json.WriteString(key, value);
        json.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter json, string name, string value)
    {
        if (value.Length > 0)
            json.WriteString(name, value);
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, int value)
    {
        if (value != 0)
            json.WriteNumber(name, value);
    }
}
