namespace EmbeddedSidecar.Api.Invocation;

/// <summary>In the place of an application that a call does not get to.</summary>
/// <param name="answer">Called at each attempt.</param>
internal sealed class Refusing(Func<HttpResponseMessage> answer) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => Task.FromResult(answer());
}
