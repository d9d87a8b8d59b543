using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace DaprOrders.Deploy.Tests;

/// <summary>KEDA's, with the fields that are used here (docs of KEDA 2.21); another one is a mistake.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ScaledObject(string ApiVersion, string Kind, ObjectName Metadata, ScaledObjectSpec Spec)
{
    public static List<ScaledObject> AllOf(Overlay overlay) => Keda.Read<ScaledObject>(overlay, nameof(ScaledObject));
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ScaledObjectSpec(
    ObjectName ScaleTargetRef, int MinReplicaCount, int MaxReplicaCount, int PollingInterval, JsonObject Advanced, List<ScaleTrigger> Triggers);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ScaleTrigger(string Type, string? MetricType, Dictionary<string, string> Metadata, ObjectName? AuthenticationRef);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ObjectName(string Name, string? Namespace);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record TriggerAuthentication(string ApiVersion, string Kind, ObjectName Metadata, TriggerAuthenticationSpec Spec)
{
    public static List<TriggerAuthentication> AllOf(Overlay overlay) => Keda.Read<TriggerAuthentication>(overlay, nameof(TriggerAuthentication));
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record TriggerAuthenticationSpec(List<SecretParameter> SecretTargetRef);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record SecretParameter(string Parameter, string Name, string Key);

internal static class Keda
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { RespectNullableAnnotations = true, NumberHandling = JsonNumberHandling.Strict };

    public static List<T> Read<T>(Overlay overlay, string kind) =>
        [.. overlay.OfKind(kind).Where(o => Overlay.Text(o["apiVersion"]) == "keda.sh/v1alpha1").Select(o => o.Deserialize<T>(Options)!)];
}
