using System.Text.Json.Nodes;

namespace DaprOrders.Deploy.Tests;

/// <summary>Dapr's components among an overlay's objects.</summary>
internal static class Components
{
    public static IEnumerable<(string Name, string Key)> SecretsOf(Overlay overlay) =>
        from component in overlay.OfKind("Component")
        from field in component["spec"]!["metadata"]!.AsArray()
        where field!["secretKeyRef"] is not null
        select (Overlay.Text(field["secretKeyRef"]!["name"]), Overlay.Text(field["secretKeyRef"]!["key"]));

    /// <summary>Each field of a component and what it says: <c>value text</c> or <c>secret name/key</c>.</summary>
    public static Dictionary<string, string> FieldsOf(JsonObject component) =>
        component["spec"]!["metadata"]!.AsArray().ToDictionary(
            field => Overlay.Text(field!["name"]),
            field => field!["secretKeyRef"] is { } secret ? $"secret {secret["name"]}/{secret["key"]}" : $"value {field["value"]}",
            StringComparer.Ordinal);
}
