using System.Collections.Frozen;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Unicode;

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

    /// <summary>The text that a header's value is.</summary>
    public static string Text(string? value) => value is null || Ascii.IsValid(value) ? value ?? "" : Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(value));

    /// <summary>Between two daprd headers are texts of protobuf, which refuses other bytes.</summary>
    public static bool AreUtf8(IHeaderDictionary headers)
    {
        foreach (var (_, values) in headers)
        {
            foreach (var value in values)
            {
                if (!IsUtf8(value))
                    return false;
            }
        }

        return true;
    }

    public static bool AreUtf8(HttpHeadersNonValidated headers)
    {
        foreach (var (_, values) in headers)
        {
            foreach (var value in values)
            {
                if (!IsUtf8(value))
                    return false;
            }
        }

        return true;
    }

    private static bool IsUtf8(string? value) => value is null || Ascii.IsValid(value) || Utf8.IsValid(Encoding.Latin1.GetBytes(value));

    public static bool AreOfTheConnection(string name) => OfTheConnection.Contains(name);

    public static bool AreOfTheSidecar(string name) => OfTheSidecar.Contains(name);

    /// <summary>The request has its content already, so that content headers find their place; without a body they have none.</summary>
    public static void CopyRequest(IHeaderDictionary from, HttpRequestMessage to)
    {
        foreach (var (name, values) in from)
        {
            if (name.StartsWith(':') || OfTheConnection.Contains(name) || AreOfTheSidecar(name) || IsWithoutMeaning(name, from))
                continue;
            IEnumerable<string?> all = values;
            if (!to.Headers.TryAddWithoutValidation(name, all))
                to.Content?.Headers.TryAddWithoutValidation(name, all);
        }
    }

    /// <summary>The trace of another protocol, a trace's state without the trace, and what the server makes of a length beside chunks.</summary>
    private static bool IsWithoutMeaning(string name, IHeaderDictionary headers)
    {
        return Is("grpc-trace-bin") || (Is("tracestate") && headers.TraceParent.Count == 0) || (Is("x-content-length") && headers.TransferEncoding.Count > 0);

        bool Is(string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);
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
