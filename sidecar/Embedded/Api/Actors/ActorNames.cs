using System.Globalization;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.Actors;

/// <summary>Which names may stand in the path of a call to the application (dapr pkg/messaging/method/normalize.go); the texts are daprd's.</summary>
internal static class ActorNames
{
    /// <summary>Null when the name is fine.</summary>
    public static string? Problem(string name)
    {
        if (name.AsSpan().IndexOfAny("#?\0/\\") >= 0)
            return $"name contains forbidden character: {GoText.Quote(name)}";
        for (var i = 0; i < name.Length; i++)
        {
            if (name[i] is < ' ' or '\x7f')
                return string.Create(CultureInfo.InvariantCulture, $"name contains control character at position {i}: {GoText.Quote(name)}");
        }
        return name is "." or ".." ? $"name is a path traversal sequence: {GoText.Quote(name)}" : null;
    }
}
