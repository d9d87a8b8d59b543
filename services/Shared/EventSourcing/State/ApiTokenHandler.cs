namespace DaprOrders.EventSourcing.State;

/// <summary>
/// Sends the sidecar's API token with every call. The client's own <c>SaveBulkStateAsync</c> leaves it out (Dapr.Client 1.19,
/// DaprClientGrpc.cs), and a sidecar that asks for it then refuses the save: give this to <c>UseGrpcChannelOptions</c> as <c>HttpHandler</c>.
/// </summary>
/// <param name="token">What DAPR_API_TOKEN holds; null or empty sends none.</param>
public sealed class ApiTokenHandler(string? token) : DelegatingHandler(new SocketsHttpHandler { EnableMultipleHttp2Connections = true })
{
    private const string Header = "dapr-api-token";

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (!string.IsNullOrEmpty(token) && !request.Headers.Contains(Header))
        {
            request.Headers.Add(Header, token);
        }

        return base.SendAsync(request, cancellationToken);
    }
}
