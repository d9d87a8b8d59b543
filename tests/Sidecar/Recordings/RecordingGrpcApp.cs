using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>An application of a scenario that speaks gRPC: its methods of AppCallback answer by its script, and every call is written down.</summary>
public sealed class RecordingGrpcApp(AppScript script, int port, AppCalls calls, RecordedForm form) : IRecordingApp
{
    private readonly ConcurrentDictionary<string, int> _answered = new();
    private WebApplication? _server;

    public async Task StartAsync(CancellationToken cancel)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        builder.Services.AddSingleton<IServiceMethodProvider<RecordingGrpcApp>, Methods>();
        _server = builder.Build();
        _server.MapGrpcService<RecordingGrpcApp>();
        await _server.StartAsync(cancel);
    }

    public async Task StopAsync()
    {
        if (_server is not { } server)
            return;
        _server = null;
        await server.StopAsync(new CancellationToken(canceled: true));
        await server.DisposeAsync();
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private async Task<IMessage> HandleAsync(MethodDescriptor method, IMessage request, ServerCallContext call)
    {
        var shown = GrpcCalls.Shown(request);
        var answer = NextAnswer(method.Name, shown);
        var done = script.Silent.Contains(method.Name)
            ? _ => { }
        : calls.Arrived(script.Id, $"gRPC {method.Name}", form.Metadata(call.RequestHeaders) is { Count: > 0 } headers ? headers : null, shown is JsonObject { Count: 0 } ? null : form.Json(shown));
        await Task.Delay(answer?.DelayMs ?? 0, call.CancellationToken);
        if (answer?.Headers is { } sent)
        {
            var metadata = new Metadata();
            foreach (var (name, value) in sent)
                metadata.Add(name, value);
            await call.WriteResponseHeadersAsync(metadata);
        }

        if (answer is null || answer.Code is not null)
        {
            var code = answer is null ? StatusCode.Unimplemented : GrpcCalls.CodeOf(answer.Code!);
            done(GrpcCalls.NameOf(code));
            throw new RpcException(new Status(code, answer?.Text ?? $"method {method.Name} not implemented"));
        }

        done("OK");
        return answer.Bulk is { } statuses ? BulkAnswer(statuses, (TopicEventBulkRequest)request) : GrpcCalls.Parsed(JsonNode.Parse(answer.JsonText!)!, method.OutputType);
    }

    /// <summary>The longest entry that fits: "OnTopicEvent /a" answers the path, or the method, or the name in the request.</summary>
    private AppAnswer? NextAnswer(string method, JsonNode request)
    {
        var detail = (string?)request["path"] ?? (string?)request["method"] ?? (string?)request["name"] ?? "";
        var key = script.Serve.ContainsKey($"{method} {detail}") ? $"{method} {detail}" : method;
        if (!script.Serve.TryGetValue(key, out var answers))
            return null;
        var turn = _answered.AddOrUpdate(key, 0, (_, last) => last + 1);
        return answers[Math.Min(turn, answers.Count - 1)];
    }

    private static TopicEventBulkResponse BulkAnswer(IReadOnlyDictionary<string, string> statuses, TopicEventBulkRequest request)
    {
        var answer = new TopicEventBulkResponse();
        foreach (var entry in request.Entries)
        {
            var name = GrpcCalls.NameIn((entry.CloudEvent?.Data ?? entry.Bytes).ToStringUtf8());
            var status = statuses.GetValueOrDefault(name) ?? statuses["*"];
            if (status != "-")
                answer.Statuses.Add(new TopicEventBulkResponseEntry { EntryId = entry.EntryId, Status = Enum.Parse<TopicEventResponse.Types.TopicEventResponseStatus>(status, ignoreCase: true) });
        }

        return answer;
    }

    private sealed class Methods : IServiceMethodProvider<RecordingGrpcApp>
    {
        public void OnServiceMethodDiscovery(ServiceMethodProviderContext<RecordingGrpcApp> context)
        {
            foreach (var method in AppcallbackReflection.Descriptor.Services.SelectMany(service => service.Methods))
            {
                context.AddUnaryMethod(
                    new Method<IMessage, IMessage>(
                        MethodType.Unary, method.Service.FullName, method.Name, GrpcCalls.MarshallerOf(method.InputType), GrpcCalls.MarshallerOf(method.OutputType)),
                    [],
                    (app, request, call) => app.HandleAsync(method, request, call));
            }
        }
    }
}
