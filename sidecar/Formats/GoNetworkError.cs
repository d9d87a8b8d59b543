using System.Globalization;
using System.Net.Sockets;

namespace DaprOrders.Sidecar.Formats;

/// <summary>How daprd's HTTP client words a request that got no answer; clients see it inside the messages of API errors.</summary>
internal static class GoNetworkError
{
    public static string Of(HttpMethod method, Uri address, HttpRequestException error)
    {
        var verb = CultureInfo.InvariantCulture.TextInfo.ToTitleCase(method.Method.ToLowerInvariant());
        var reason = error switch
        {
            { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } =>
                $"dial tcp {address.Authority}: connect: connection refused",
            { HttpRequestError: HttpRequestError.NameResolutionError } => $"dial tcp: lookup {address.Host}: no such host",
            { HttpRequestError: HttpRequestError.ResponseEnded } => "EOF",
            { InnerException: IOException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionReset } } } =>
                $"read tcp {address.Authority}: read: connection reset by peer",
            _ => error.Message,
        };
        return $"{verb} \"{address}\": {reason}";
    }
}
