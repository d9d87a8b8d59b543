using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace EmbeddedSidecar.Resources;

/// <summary>Whether resources say the same, wherever in the files they stand.</summary>
internal static class ResourceComparison
{
    private static readonly JsonSerializerOptions WithoutPlaces = new()
    {
        IncludeFields = true,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LeaveOutPlaces } },
    };

    public static bool Same<T>(T one, T other) => JsonSerializer.Serialize(one, WithoutPlaces) == JsonSerializer.Serialize(other, WithoutPlaces);

    private static void LeaveOutPlaces(JsonTypeInfo type)
    {
        foreach (var property in type.Properties)
        {
            if (property.PropertyType == typeof(SourceLocation) || property.PropertyType == typeof(IReadOnlyList<ResourceError>))
                property.ShouldSerialize = (_, _) => false;
        }
    }
}
