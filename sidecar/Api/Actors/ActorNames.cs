using System.Globalization;
using System.Text;

namespace DaprOrders.Sidecar.Api.Actors;

/// <summary>Which names may stand in the path of a call to the application (dapr pkg/messaging/method/normalize.go); the texts are daprd's.</summary>
internal static class ActorNames
{
    /// <summary>Null when the name is fine.</summary>
    public static string? Problem(string name)
    {
        if (name.AsSpan().IndexOfAny("#?\0/\\") >= 0)
            return $"name contains forbidden character: {Quote(name)}";
        for (var i = 0; i < name.Length; i++)
        {
            if (name[i] is < ' ' or '\x7f')
                return string.Create(CultureInfo.InvariantCulture, $"name contains control character at position {i}: {Quote(name)}");
        }
        return name is "." or ".." ? $"name is a path traversal sequence: {Quote(name)}" : null;
    }

    /// <summary>As Go's <c>%q</c>, for the characters that occur here.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder(text.Length + 2).Append('"');
        foreach (var c in text)
        {
            quoted = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                '\n' => quoted.Append("\\n"),
                '\r' => quoted.Append("\\r"),
                '\t' => quoted.Append("\\t"),
                < ' ' or '\x7f' => quoted.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"),
                _ => quoted.Append(c),
            };
        }
        return quoted.Append('"').ToString();
    }
}
