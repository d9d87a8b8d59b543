using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.Conversations;

/// <summary>There are no such components: the API answers as a daprd that has none.</summary>
internal static class ConversationsApi
{
    public static void MapConversations(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        foreach (var version in new[] { "v1.0-alpha1", "v1.0-alpha2" })
            routes.MapPost($"/{version}/conversation/{{name}}/converse", context => RefuseAsync(context, runtime));
    }

    public static void BindConversations(this DaprGrpcMethods methods)
    {
#pragma warning disable CS0612 // Daprd still answers it.
        methods.Unary<ConversationRequest, ConversationResponse>("ConverseAlpha1", (runtime, request, call) => throw NotFound(runtime, call.Method, request.Name));
#pragma warning restore CS0612
        methods.Unary<ConversationRequestAlpha2, ConversationResponseAlpha2>("ConverseAlpha2", (runtime, request, call) => throw NotFound(runtime, call.Method, request.Name));
    }

    /// <summary>A body that is none is complained of first.</summary>
    private static async Task RefuseAsync(HttpContext context, SidecarRuntime runtime)
    {
        try
        {
            if (await RequestBody.ReadAsync(context) is { IsEmpty: false } body)
                ProtoJson.Parse(body).Dispose();
        }
        catch (JsonException e)
        {
            throw new ApiException(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", $"failed deserializing HTTP body: {e.Message}");
        }

        throw NotFound(runtime, $"{context.Request.Method} {context.Request.Path}", (string?)context.Request.RouteValues["name"] ?? "");
    }

    private static ApiException NotFound(SidecarRuntime runtime, string call, string name)
    {
        runtime.TellMissing(call, "conversation components");
        return new(400, StatusCode.InvalidArgument, "ERR_CONVERSATION_NOT_FOUND", $"failed finding conversation component {name}");
    }
}
