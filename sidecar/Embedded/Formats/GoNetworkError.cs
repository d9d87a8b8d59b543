using System.Globalization;
using System.Net.Sockets;

namespace EmbeddedSidecar.Formats;

/// <summary>How daprd's HTTP client words a request that got no answer; clients see it inside the messages of API errors.</summary>
internal static class GoNetworkError
{
    /// <summary>As Go writes the address of a failed request: an HTTPEndpoint's base URL may hold a user and a password.</summary>
    public static string WithoutPassword(Uri address) => address.UserInfo.IndexOf(':', StringComparison.Ordinal) is var colon and >= 0
        ? address.ToString().Replace(address.UserInfo + "@", address.UserInfo[..colon] + ":***@", StringComparison.Ordinal)
        : address.ToString();

    public static string Of(HttpMethod method, Uri address, HttpRequestException error) =>
        $"{Verb(method)} \"{WithoutPassword(address)}\": {Reason(address, error)}";

    /// <summary>The same of a call of gRPC.</summary>
    public static string OfGrpc(Uri address, HttpRequestException error)
    {
        var doing = error.InnerException is SocketException ? "transport: Error while dialing" : "error reading from server";
        return $"connection error: desc = {GoText.Quote($"{doing}: {Reason(address, error)}")}";
    }

    /// <summary>Of an address that does not begin with http:// or https://.</summary>
    public static string OfScheme(HttpMethod method, string address)
    {
        var scheme = address.IndexOfAny([':', '/', '.']) is >= 0 and var end && address[end] == ':' ? address[..end] : "";
        return $"{Verb(method)} \"{address}\": unsupported protocol scheme {GoText.Quote(scheme)}";
    }

    private static string Verb(HttpMethod method) => CultureInfo.InvariantCulture.TextInfo.ToTitleCase(method.Method.ToLowerInvariant());

    private static string Reason(Uri address, HttpRequestException error) => error switch
    {
        { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } =>
            $"dial tcp {address.Authority}: connect: connection refused",
        { HttpRequestError: HttpRequestError.NameResolutionError } => $"dial tcp: lookup {address.Host}: no such host",
        { HttpRequestError: HttpRequestError.ResponseEnded } => "EOF",
        { InnerException: IOException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionReset } } } =>
            $"read tcp {address.Authority}: read: connection reset by peer",
        { HttpRequestError: HttpRequestError.InvalidResponse } => $"net/http: HTTP/1.x transport connection broken: {error.Message}",
        _ => error.Message,
    };
}
