namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Before an application: what a call may not get past, looked at for each attempt.</summary>
/// <param name="closed">Answers, or throws, in the place of the application; null lets the call through.</param>
/// <param name="app">The application.</param>
internal sealed class Gate(Func<HttpResponseMessage?> closed, HttpMessageInvoker app) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        closed() is { } answer ? Task.FromResult(answer) : app.SendAsync(request, cancellationToken);
}
