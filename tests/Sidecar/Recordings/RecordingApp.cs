using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>An application of a scenario: answers by its script, 404 for what is not in it, and writes every call down.</summary>
public sealed class RecordingApp(AppScript script, int port, AppCalls calls, RecordedForm form) : RecordingServer(port)
{
    private readonly AnswersInTurn _turns = new();

    protected override void Listen(KestrelServerOptions kestrel, ListenOptions listen)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.RequestHeaderEncodingSelector = _ => WireText.EncodingOfHeaders;
        kestrel.ResponseHeaderEncodingSelector = _ => WireText.EncodingOfHeaders;
    }

    protected override void Map(WebApplication server) => server.Run(HandleAsync);

    private async Task HandleAsync(HttpContext context)
    {
        var request = context.Request;
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var answer = NextAnswer(request, target);
        using var body = new MemoryStream();
        if (answer?.Early is not true)
            await request.Body.CopyToAsync(body, context.RequestAborted);
        var headers = form.Headers(request.Headers.Select(header => KeyValuePair.Create(header.Key, header.Value.OfType<string>())));
        Action<JsonNode?> done = _ => { };
        if (!script.Silent.Contains($"{request.Method} {request.Path.Value}"))
            done = calls.Arrived(script.Id, form.Text($"{request.Method} {target}"), headers, form.Body(body.ToArray()));
        try
        {
            var status = await AnswerAsync(context, answer, body.ToArray());
            await context.Response.CompleteAsync();
            done(context.RequestAborted.IsCancellationRequested && answer?.Raw is null ? -1 : status);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            done(-1);
        }
    }

    private AppAnswer? NextAnswer(HttpRequest request, string target)
    {
        // Go's servers leave the dots of a path where they are.
        var path = target.Contains("/../", StringComparison.Ordinal) ? target : request.Path.Value;
        return script.Find($"{request.Method} {path}") is { } served ? _turns.Next(served.Key, served.Value) : null;
    }

    private static async Task<int> AnswerAsync(HttpContext context, AppAnswer? answer, byte[] body)
    {
        var response = context.Response;
        if (answer is null)
            return response.StatusCode = StatusCodes.Status404NotFound;
        if (answer.DelayMs > 0)
            await Task.Delay(answer.DelayMs, context.RequestAborted);
        if (answer.Raw is { } raw)
            return await AnswerRawAsync(context, raw);
        response.StatusCode = answer.Status ?? StatusCodes.Status200OK;
        if (answer.Early)
            response.Headers.Connection = "close";
        var (contentType, content) = Content(answer, body);
        if (contentType is not null)
            response.ContentType = contentType;
        foreach (var (name, value) in answer.Headers ?? new Dictionary<string, string>())
            response.Headers[name] = WireText.ToHeader(value);
        if (content.Length > 0 && !HttpMethods.IsHead(context.Request.Method))
        {
            response.ContentLength = content.Length;
            await response.Body.WriteAsync(content, context.RequestAborted);
        }
        return response.StatusCode;
    }

    /// <summary>Past the server, onto the socket; it counts as 200, as it does in the recordings.</summary>
    private static async Task<int> AnswerRawAsync(HttpContext context, string raw)
    {
        var socket = context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;
        try
        {
            if (raw != "-")
                await socket.SendAsync(WireText.Bytes(raw), CancellationToken.None);
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The sidecar has read enough of it, and hung up.
        }

        context.Abort();
        return StatusCodes.Status200OK;
    }

    private static (string? ContentType, byte[] Content) Content(AppAnswer answer, byte[] body)
    {
        if (answer.Bulk is { } statuses)
            return ("application/json", BulkAnswer(statuses, body));
        if (answer.JsonText is { } json)
            return ("application/json", json == "\"@echo\"" ? body : Encoding.UTF8.GetBytes(json));
        return answer.Text is { } plain ? ("text/plain; charset=utf-8", WireText.Bytes(WireText.Repeated(plain))) : (null, []);
    }

    private static byte[] BulkAnswer(IReadOnlyDictionary<string, string> statuses, byte[] body)
    {
        JsonArray answered =
        [
            .. from entry in JsonNode.Parse(body)!["entries"]!.AsArray()
               let name = (string?)entry["event"]?["data"]?["name"] ?? ""
               let status = statuses.GetValueOrDefault(name) ?? statuses["*"]
               where status != "-"
               select new JsonObject { ["entryId"] = (string)entry["entryId"]!, ["status"] = status },
        ];
        return Encoding.UTF8.GetBytes(new JsonObject { ["statuses"] = answered }.ToJsonString());
    }
}
