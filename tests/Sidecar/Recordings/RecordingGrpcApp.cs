using System.Text.Json.Nodes;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>An application of a scenario that speaks gRPC: its methods of AppCallback answer by its script, and every call is written down.</summary>
public sealed class RecordingGrpcApp(AppScript script, int port, AppCalls calls, RecordedForm form) : RecordingServer(port)
{
    private readonly AnswersInTurn _turns = new();

    protected override void Listen(KestrelServerOptions kestrel, ListenOptions listen) => listen.Protocols = HttpProtocols.Http2;

    protected override void Add(WebApplicationBuilder builder)
    {
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        builder.Services.AddSingleton<IServiceMethodProvider<RecordingGrpcApp>, Methods>();
    }

    protected override void Map(WebApplication server) => server.MapGrpcService<RecordingGrpcApp>();

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
        var key = new[] { "path", "method", "name" }.Select(field => $"{method} {(string?)request[field]}").FirstOrDefault(script.Serve.ContainsKey) ?? method;
        return script.Serve.TryGetValue(key, out var answers) ? _turns.Next(key, answers) : null;
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
