namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Below the policies, so that each attempt counts.</summary>
internal sealed class CountedAttempts(HttpMessageInvoker inner, Action count) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        count();
        return inner.SendAsync(request, cancellationToken);
    }
}
