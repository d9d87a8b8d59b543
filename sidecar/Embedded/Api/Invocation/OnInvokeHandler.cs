using System.Net;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>
/// Carries HTTP calls to an application that speaks gRPC: a request becomes AppCallback.OnInvoke, its answer or its status an HTTP answer
/// (pkg/channel/grpc, pkg/messaging/v1/util.go).
/// </summary>
internal sealed class OnInvokeHandler(CallInvoker app) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = request.Content is { } content ? await content.ReadAsByteArrayAsync(cancellationToken) : [];
        var invocation = new InvokeRequest
        {
            Method = Uri.UnescapeDataString(request.RequestUri!.AbsolutePath.TrimStart('/')),
            Data = new Any { Value = UnsafeByteOperations.UnsafeWrap(body) },
            ContentType = request.Content?.Headers.NonValidated.TryGetValues("Content-Type", out var contentType) == true ? contentType.ToString() : "",
            HttpExtension = new HTTPExtension { Verb = VerbOf(request.Method), Querystring = request.RequestUri.Query.TrimStart('?') },
        };
        using var call = app.AsyncUnaryCall(AppCallbacks.OnInvoke, null, new(MetadataOf(request, body.Length), cancellationToken: cancellationToken), invocation);
        var answer = new HttpResponseMessage { RequestMessage = request };
        try
        {
            var response = await call;
            var data = response.Data?.Value.ToByteArray() ?? [];
            Fill(answer, HttpStatusCode.OK, data, response.ContentType.Length > 0 ? response.ContentType : data.Length > 0 ? "text/plain; charset=utf-8" : null);
        }
        catch (RpcException error) when (error.Status.DebugException is null)
        {
            var status = JsonSerializer.SerializeToUtf8Bytes(new { code = (int)error.StatusCode, message = error.Status.Detail });
            Fill(answer, HttpStatusOf(error.StatusCode), status, "text/plain; charset=utf-8");
        }

        foreach (var header in await call.ResponseHeadersAsync)
        {
            if (!header.IsBinary && !AppCallbacks.IsOfTheCall(header.Key))
                answer.Headers.TryAddWithoutValidation(header.Key, header.Value);
        }

        return answer;
    }

    private static void Fill(HttpResponseMessage answer, HttpStatusCode status, byte[] body, string? contentType)
    {
        (answer.StatusCode, answer.Content) = (status, new ByteArrayContent(body));
        if (contentType is not null)
            answer.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
    }

    private static Grpc.Core.Metadata MetadataOf(HttpRequestMessage request, int length)
    {
        var traceParent = request.Headers.NonValidated.TryGetValues("traceparent", out var given) ? given.ToString() : TraceParent.Continue(null);
        var metadata = AppCallbacks.Traced(traceParent);
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            if (!name.EndsWith("-bin", StringComparison.OrdinalIgnoreCase) && !name.Equals("traceparent", StringComparison.OrdinalIgnoreCase))
            {
                foreach (var value in values)
                    metadata.Add(name, value);
            }
        }

        if (request.Content?.Headers.NonValidated.TryGetValues("Content-Type", out var contentType) == true)
        {
            metadata.Add("dapr-content-type", contentType.ToString());
            metadata.Add("dapr-content-length", length.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        return metadata;
    }

    private static HTTPExtension.Types.Verb VerbOf(HttpMethod method) =>
        System.Enum.TryParse<HTTPExtension.Types.Verb>(method.Method, ignoreCase: true, out var verb) ? verb : HTTPExtension.Types.Verb.Post;

    private static HttpStatusCode HttpStatusOf(StatusCode code) => code switch
    {
        StatusCode.Cancelled => HttpStatusCode.RequestTimeout,
        StatusCode.InvalidArgument or StatusCode.FailedPrecondition or StatusCode.OutOfRange => HttpStatusCode.BadRequest,
        StatusCode.DeadlineExceeded => HttpStatusCode.GatewayTimeout,
        StatusCode.NotFound => HttpStatusCode.NotFound,
        StatusCode.AlreadyExists or StatusCode.Aborted => HttpStatusCode.Conflict,
        StatusCode.PermissionDenied => HttpStatusCode.Forbidden,
        StatusCode.Unauthenticated => HttpStatusCode.Unauthorized,
        StatusCode.ResourceExhausted => HttpStatusCode.TooManyRequests,
        StatusCode.Unimplemented => HttpStatusCode.NotImplemented,
        StatusCode.Unavailable => HttpStatusCode.ServiceUnavailable,
        _ => HttpStatusCode.InternalServerError,
    };
}
