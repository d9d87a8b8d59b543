using System.IO.Pipelines;
using System.Net;
using EmbeddedSidecar.Formats;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>
/// What a proxied gRPC call is answered, as Go's client hands it on: a connection that failed and an answer that is no gRPC are statuses, and the
/// application's metadata come with its first message, so that those of an answer without one are lost (pkg/api/grpc/proxy/handler.go).
/// </summary>
/// <param name="app">The application, whatever it speaks.</param>
/// <param name="isStream">Declared to be one: its first message may be long in coming, and is not waited for.</param>
internal sealed class ProxiedAnswer(HttpMessageInvoker app, bool isStream) : HttpMessageHandler
{
    private const string Grpc = "application/grpc";

    /// <summary>A status without messages.</summary>
    public static HttpResponseMessage Refused(StatusCode code, string reason)
    {
        var answer = WithoutMessages();
        answer.Headers.TryAddWithoutValidation("grpc-status", code.ToString("D"));
        answer.Headers.TryAddWithoutValidation("grpc-message", Uri.EscapeDataString(reason));
        return answer;
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage answer;
        try
        {
            answer = await app.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException e)
        {
            return Refused(StatusCode.Unavailable, GoNetworkError.OfGrpc(request.RequestUri!, e));
        }

        if (NoGrpc(answer) is { } refusal)
        {
            answer.Dispose();
            return refusal;
        }

        return isStream || answer.Headers.NonValidated.Contains("grpc-status") ? answer : await WithItsFirstMessageAsync(answer, cancellationToken);
    }

    /// <summary>internal/transport/http2_client.go of grpc-go.</summary>
    private static HttpResponseMessage? NoGrpc(HttpResponseMessage answer)
    {
        var contentType = answer.Content.Headers.NonValidated.TryGetValues("Content-Type", out var given) ? given.ToString() : null;
        if (contentType is not null && contentType.StartsWith(Grpc, StringComparison.OrdinalIgnoreCase) && (contentType.Length == Grpc.Length || contentType[Grpc.Length] is '+' or ';'))
            return null;

        var status = (int)answer.StatusCode;
        var code = answer.StatusCode switch
        {
            HttpStatusCode.BadRequest => StatusCode.Internal,
            HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
            HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
            HttpStatusCode.NotFound => StatusCode.Unimplemented,
            HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => StatusCode.Unavailable,
            _ => StatusCode.Unknown,
        };
        var problem = contentType is null ? "malformed header: missing HTTP content-type" : $"transport: received unexpected content-type {GoText.Quote(contentType)}";
        return Refused(code, $"unexpected HTTP status code received from server: {status} ({GoText.StatusText(status)}); {problem}");
    }

    private static async Task<HttpResponseMessage> WithItsFirstMessageAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        PipeReader messages;
        ReadResult first;
        try
        {
            messages = PipeReader.Create(await answer.Content.ReadAsStreamAsync(cancellationToken));
            first = await messages.ReadAsync(cancellationToken);
        }
        catch
        {
            // Only then the application hears that nobody waits any more.
            answer.Dispose();
            throw;
        }

        messages.AdvanceTo(first.Buffer.Start);
        if (first.Buffer.IsEmpty)
        {
            using (answer)
                return Ended(answer);
        }

        var body = new StreamContent(messages.AsStream());
        foreach (var (name, values) in answer.Content.Headers.NonValidated)
            body.Headers.TryAddWithoutValidation(name, values);
        answer.Content = body;
        return answer;
    }

    private static HttpResponseMessage Ended(HttpResponseMessage answer)
    {
        if (!answer.TrailingHeaders.NonValidated.Contains("grpc-status"))
            return Refused(StatusCode.Internal, "server closed the stream without sending trailers");

        var ended = WithoutMessages();
        foreach (var (name, values) in answer.TrailingHeaders.NonValidated)
            ended.Headers.TryAddWithoutValidation(name, values);
        return ended;
    }

    private static HttpResponseMessage WithoutMessages()
    {
        var answer = new HttpResponseMessage { Version = HttpVersion.Version20, Content = new ByteArrayContent([]) };
        answer.Content.Headers.TryAddWithoutValidation("Content-Type", Grpc);
        return answer;
    }
}
