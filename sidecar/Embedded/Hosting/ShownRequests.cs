namespace EmbeddedSidecar.Hosting;

/// <summary>Requests to what is outside of Dapr (HTTPEndpoints and base addresses), each shown first; what is thrown there is a failure of the other side.</summary>
internal sealed class ShownRequests(BeforeSidecarCall before, string appId, string target, HttpMessageInvoker inner) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        await ShowAsync(before, appId, target, request, cancellationToken);
        return await inner.SendAsync(request, cancellationToken);
    }

    /// <exception cref="HttpRequestException">What was thrown there.</exception>
    public static async Task ShowAsync(BeforeSidecarCall before, string appId, string? target, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            await before(new SidecarCall(appId, target, request.Method.Method, [request.RequestUri!.AbsolutePath], []), cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new HttpRequestException(e.Message, e);
        }
    }
}
