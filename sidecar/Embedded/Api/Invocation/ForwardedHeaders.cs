using System.Collections.Frozen;
using System.Net.Http.Headers;
using System.Text;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Which headers travel through the sidecar: all but those of one connection, and those that the sidecar itself answers for.</summary>
internal static class ForwardedHeaders
{
    private static readonly FrozenSet<string> OfTheConnection = new[]
    {
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "Host", "Content-Length", "Expect",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>What a caller may not say about itself, since the sidecar does; and its key to this sidecar, which is nobody else's.</summary>
    private static readonly FrozenSet<string> OfTheSidecar = new[]
    {
        "dapr-caller-app-id", "dapr-caller-namespace", "dapr-callee-app-id", "dapr-api-call", "x-dapr-remote", "dapr-app-id", "dapr-api-token",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>A text as the value of a header: headers are written one character to the byte, and texts are UTF-8.</summary>
    public static string Value(string text) => Ascii.IsValid(text) ? text : Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    public static bool AreOfTheSidecar(string name) => OfTheSidecar.Contains(name);

    /// <summary>The request has its content already, so that content headers find their place; without a body they have none.</summary>
    public static void CopyRequest(IHeaderDictionary from, HttpRequestMessage to)
    {
        foreach (var (name, values) in from)
        {
            if (name.StartsWith(':') || OfTheConnection.Contains(name) || AreOfTheSidecar(name))
                continue;
            IEnumerable<string?> all = values;
            if (!to.Headers.TryAddWithoutValidation(name, all))
                to.Content?.Headers.TryAddWithoutValidation(name, all);
        }
    }

    public static void CopyResponse(HttpResponseMessage from, IHeaderDictionary to)
    {
        Copy(from.Headers.NonValidated, to);
        Copy(from.Content.Headers.NonValidated, to);
    }

    private static void Copy(HttpHeadersNonValidated from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from)
        {
            if (OfTheConnection.Contains(name))
                continue;
            to[name] = values.Count == 1 ? values.ToString() : values.ToArray();
        }
    }
}
