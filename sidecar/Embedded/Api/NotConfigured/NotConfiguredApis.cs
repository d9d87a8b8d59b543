using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.NotConfigured;

/// <summary>
/// The APIs whose components this sidecar does not have (cryptography, conversations): they answer as a daprd without such a
/// component, and the log names what is missing, once.
/// </summary>
internal static class NotConfiguredApis
{
    private const string Cryptography = "crypto providers";
    private const string Conversations = "conversation components";

    public static void MapNotConfigured(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        foreach (var version in new[] { "v1.0-alpha1", "v1.0-alpha2" })
            RefuseMessage($"/{version}/conversation/{{name}}/converse", Conversations, name => Conversation(name));
        foreach (var operation in new[] { "encrypt", "decrypt" })
            Refuse($"/v1.0-alpha1/crypto/{{name}}/{operation}", "PUT", Cryptography, _ => Crypto());
        foreach (var operation in new[] { "getkey", "encrypt", "decrypt", "wrapkey", "unwrapkey", "sign", "verify" })
            Refuse($"/v1.0-alpha1/subtlecrypto/{{name}}/{operation}", "POST", Cryptography, _ => SubtleCrypto());

        void Refuse(string pattern, string verb, string missing, Func<string, ApiException> refusal) =>
            routes.MapMethods(pattern, [verb], context => throw Refusal(context, missing, refusal));

        // A body that is none is complained of first.
        void RefuseMessage(string pattern, string missing, Func<string, ApiException> refusal) => routes.MapPost(pattern, async context =>
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

            throw Refusal(context, missing, refusal);
        });

        ApiException Refusal(HttpContext context, string missing, Func<string, ApiException> refusal)
        {
            Report(runtime, $"{context.Request.Method} {context.Request.Path}", missing);
            return refusal((string?)context.Request.RouteValues["name"] ?? "");
        }
    }

    public static void BindNotConfigured(this DaprGrpcMethods methods)
    {
#pragma warning disable CS0612 // Daprd still answers it.
        Refuse<ConversationRequest, ConversationResponse>("ConverseAlpha1", Conversations, request => Conversation(request.Name));
#pragma warning restore CS0612
        Refuse<ConversationRequestAlpha2, ConversationResponseAlpha2>("ConverseAlpha2", Conversations, request => Conversation(request.Name));
        RefuseStream<EncryptRequest, EncryptResponse>("EncryptAlpha1");
        RefuseStream<DecryptRequest, DecryptResponse>("DecryptAlpha1");

        void Refuse<TRequest, TResponse>(string name, string missing, Func<TRequest, ApiException> refusal)
            where TRequest : class, IMessage<TRequest>, new()
            where TResponse : class, IMessage<TResponse>, new() =>
            methods.Unary<TRequest, TResponse>(name, (runtime, request, _) =>
            {
                Report(runtime, name, missing);
                throw refusal(request);
            });

        void RefuseStream<TRequest, TResponse>(string name)
            where TRequest : class, IMessage<TRequest>, new()
            where TResponse : class, IMessage<TResponse>, new() =>
            methods.Duplex<TRequest, TResponse>(name, (runtime, _, _, _) =>
            {
                Report(runtime, name, Cryptography);
                throw Crypto();
            });
    }

    /// <summary>The first call is an error, which the console shows wherever the log goes.</summary>
    internal static void Report(SidecarRuntime runtime, string method, string missing)
    {
        if (runtime.Missing.TryAdd(missing, true))
            runtime.Logger.LogError("{AppId} called {Method}, but the embedded sidecar has no {Missing}", runtime.Options.AppId, method, missing);
    }

    private static ApiException Crypto() => new(500, StatusCode.Internal, "ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED", "crypto providers not configured");

    private static ApiException SubtleCrypto() => new(501, StatusCode.Unimplemented, "ERR_API_UNIMPLEMENTED", "this API is currently not implemented");

    private static ApiException Conversation(string name) =>
        new(400, StatusCode.InvalidArgument, "ERR_CONVERSATION_NOT_FOUND", $"failed finding conversation component {name}");
}
