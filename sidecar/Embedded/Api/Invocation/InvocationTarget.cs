using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>What a request on the Dapr HTTP port asks to be called: an app id (or HTTPEndpoint, or base URL) and a path, decoded once.</summary>
/// <param name="IsUtf8">The path is; where it is not, its other bytes are still escaped in <paramref name="Method"/>.</param>
internal readonly record struct InvocationTarget(string Id, string Method, bool IsUtf8 = true)
{
    /// <summary>What Go leaves as it is in a path that is fit for a URL already.</summary>
    private static readonly SearchValues<char> FitForUrl = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,/:;=@!'()*[]%");

    private static readonly SearchValues<char> Controls = SearchValues.Create([.. Enumerable.Range(0, ' ').Select(code => (char)code), '\x7f']);

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
        var raw = PathOf(rawTarget);
        var path = Uri.UnescapeDataString(raw);
        // What is not escaped is ASCII: the server takes nothing else.
        var isUtf8 = !raw.Contains('%', StringComparison.Ordinal) || Utf8.IsValid(Unescape(raw));
        if (headers.TryGetValue(AppIdHeader, out var header) && header is [{ Length: > 0 } named, ..])
            return new(named, path, isUtf8);
        if (FromBasic(headers.Authorization.ToString()) is { } user)
            return new(user, path, isUtf8);

        var trimmed = path.TrimStart('/');
        if (!trimmed.StartsWith(InvokePrefix, StringComparison.Ordinal))
            return null;
        var rest = trimmed[InvokePrefix.Length..].TrimStart('/');
        var split = rest.IndexOf(MethodPart, StringComparison.Ordinal);
        return split > 0 ? new(Uri.UnescapeDataString(rest[..split]), rest[(split + MethodPart.Length)..], isUtf8) : null;
    }

    /// <summary>The path as daprd sends it on: without a leading slash, with dots and doubled slashes resolved.</summary>
    /// <exception cref="FormatException">With daprd's text.</exception>
    public static string Normalize(string method)
    {
        if (method.AsSpan().IndexOfAny("#?\0") >= 0)
            throw new FormatException($"method contains forbidden character: {GoText.Quote(method)}");
        if (method.AsSpan().IndexOfAny(Controls) is >= 0 and var at)
            throw new FormatException($"method contains control character at position {at}: {GoText.Quote(method)}");

        return Clean(method);
    }

    /// <summary>As Go's path.Clean, but for the slashes at both ends, of which none is left.</summary>
    public static string Clean(string path)
    {
        if (!path.Contains("//", StringComparison.Ordinal) && !path.Contains("./", StringComparison.Ordinal) && !path.EndsWith('.'))
            return path.Trim('/');
        var parts = new List<string>();
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
            else if (part is not ("." or ".."))
                parts.Add(part);
        }
        return string.Join('/', parts);
    }

    /// <summary>The path of a URL that was built from this one, as Go writes it: as it is where that is fit for a URL, else escaped anew (net/url).</summary>
    public static string Escape(string path)
    {
        if (!path.AsSpan().ContainsAnyExcept(FitForUrl))
            return path;
        var escaped = new StringBuilder(path.Length + 16);
        foreach (var c in Unescape(path))
        {
            if (char.IsAsciiLetterOrDigit((char)c) || "-_.~$&+,/:;=@"u8.Contains(c))
                escaped.Append((char)c);
            else
                escaped.Append(CultureInfo.InvariantCulture, $"%{c:X2}");
        }
        return escaped.ToString();
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

    private static ReadOnlySpan<byte> Unescape(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var length = 0;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == '%' && i + 2 < bytes.Length
                && byte.TryParse(bytes.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var escaped))
            {
                bytes[length++] = escaped;
                i += 2;
            }
            else
            {
                bytes[length++] = bytes[i];
            }
        }
        return bytes.AsSpan(0, length);
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
