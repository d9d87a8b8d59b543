using System.Text;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>What a request on the Dapr HTTP port asks to be called: an app id (or HTTPEndpoint, or base URL) and a path, decoded once.</summary>
internal readonly record struct InvocationTarget(string Id, string Method)
{
    private const string AppIdHeader = "dapr-app-id";
    private const string InvokePrefix = "v1.0/invoke/";
    private const string MethodPart = "/method/";

    /// <summary>
    /// From the header dapr-app-id, Basic authentication (<c>dapr-app-id:{id}</c>), or the path /v1.0/invoke/{id}/method/{path}; null when none
    /// of them names an application (dapr pkg/api/http/directmessaging.go).
    /// </summary>
    /// <param name="rawTarget">As it stood in the request line: what the server cleans away counts here.</param>
    /// <param name="headers">Of the request.</param>
    public static InvocationTarget? Find(string rawTarget, IHeaderDictionary headers)
    {
        var path = Uri.UnescapeDataString(PathOf(rawTarget));
        if (headers.TryGetValue(AppIdHeader, out var header) && header is [{ Length: > 0 } named, ..])
            return new(named, path);
        if (FromBasic(headers.Authorization.ToString()) is { } user)
            return new(user, path);

        var trimmed = path.TrimStart('/');
        if (!trimmed.StartsWith(InvokePrefix, StringComparison.Ordinal))
            return null;
        var rest = trimmed[InvokePrefix.Length..].TrimStart('/');
        var split = rest.IndexOf(MethodPart, StringComparison.Ordinal);
        return split > 0 ? new(Uri.UnescapeDataString(rest[..split]), rest[(split + MethodPart.Length)..]) : null;
    }

    /// <summary>The path as daprd sends it on: without a leading slash, with dots and doubled slashes resolved.</summary>
    /// <exception cref="FormatException">With daprd's text.</exception>
    public static string Normalize(string method)
    {
        if (method.AsSpan().IndexOfAny("#?\0") >= 0)
            throw new FormatException($"method contains forbidden character: {GoText.Quote(method)}");
        for (var i = 0; i < method.Length; i++)
        {
            if (method[i] is < ' ' or '\x7f')
                throw new FormatException($"method contains control character at position {i}: {GoText.Quote(method)}");
        }

        if (!method.Contains("//", StringComparison.Ordinal) && !method.Contains("./", StringComparison.Ordinal) && !method.EndsWith('.'))
            return method.Trim('/');
        var parts = new List<string>();
        foreach (var part in method.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
            else if (part is not ("." or ".."))
                parts.Add(part);
        }
        return string.Join('/', parts);
    }

    /// <summary>Where a percent sign is not followed by two hex digits, that text (at most three characters); null when there is none.</summary>
    public static string? InvalidEscape(string method)
    {
        for (var i = method.IndexOf('%', StringComparison.Ordinal); i >= 0; i = method.IndexOf('%', i + 1))
        {
            if (i + 2 >= method.Length || !char.IsAsciiHexDigit(method[i + 1]) || !char.IsAsciiHexDigit(method[i + 2]))
                return method.Substring(i, Math.Min(3, method.Length - i));
        }
        return null;
    }

    private static string PathOf(string rawTarget)
    {
        var query = rawTarget.IndexOf('?', StringComparison.Ordinal);
        var path = query < 0 ? rawTarget : rawTarget[..query];
        // A proxy's form of the request line names scheme and host too.
        if (path.StartsWith('/') || !Uri.TryCreate(path, UriKind.Absolute, out var absolute))
            return path;
        return absolute.AbsolutePath;
    }

    private static string? FromBasic(string authorization)
    {
        if (!authorization.StartsWith("Basic ", StringComparison.Ordinal))
            return null;
        var buffer = new byte[authorization.Length];
        return Convert.TryFromBase64String(authorization["Basic ".Length..], buffer, out var length)
            && Encoding.UTF8.GetString(buffer, 0, length).Split(':') is [var user, { Length: > 0 } id]
            && user.Equals(AppIdHeader, StringComparison.OrdinalIgnoreCase)
            ? id
            : null;
    }
}
