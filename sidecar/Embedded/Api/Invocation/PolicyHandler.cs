using Polly;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Sends a request under a policy. A body of known length is first taken into memory, so that it can be sent again.</summary>
internal sealed class PolicyHandler(ResiliencePipeline policy, HttpMessageInvoker inner) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.Content is { Headers.ContentLength: not null } content)
        {
            var body = new ByteArrayContent(await content.ReadAsByteArrayAsync(cancellationToken));
            foreach (var (name, values) in content.Headers.NonValidated)
                body.Headers.TryAddWithoutValidation(name, values);
            request.Content = body;
        }
        return await policy.ExecuteAsync(
            static async (state, attempt) => await state.Inner.SendAsync(state.Request, attempt), (Inner: inner, Request: request), cancellationToken);
    }
}
