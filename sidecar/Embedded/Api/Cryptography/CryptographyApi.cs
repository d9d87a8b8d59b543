using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.Cryptography;

/// <summary>There are no such components: the API answers as a daprd that has none, and as one that was not built for subtle cryptography.</summary>
internal static class CryptographyApi
{
    private const string Providers = "crypto providers";

    public static void MapCryptography(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        foreach (var operation in new[] { "encrypt", "decrypt" })
            routes.MapPut($"/v1.0-alpha1/crypto/{{name}}/{operation}", (RequestDelegate)(context => throw NotConfigured(runtime, Call(context))));
        foreach (var operation in new[] { "getkey", "encrypt", "decrypt", "wrapkey", "unwrapkey", "sign", "verify" })
            routes.MapPost($"/v1.0-alpha1/subtlecrypto/{{name}}/{operation}", (RequestDelegate)(context => throw NotBuilt(runtime, Call(context))));

        static string Call(HttpContext context) => $"{context.Request.Method} {context.Request.Path}";
    }

    public static void BindCryptography(this DaprGrpcMethods methods)
    {
        methods.Duplex<EncryptRequest, EncryptResponse>("EncryptAlpha1", (runtime, _, _, call) => throw NotConfigured(runtime, call.Method));
        methods.Duplex<DecryptRequest, DecryptResponse>("DecryptAlpha1", (runtime, _, _, call) => throw NotConfigured(runtime, call.Method));
    }

    private static ApiException NotConfigured(SidecarRuntime runtime, string call)
    {
        runtime.TellMissing(call, Providers);
        return new(500, StatusCode.Internal, "ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED", "crypto providers not configured");
    }

    private static ApiException NotBuilt(SidecarRuntime runtime, string call)
    {
        runtime.TellMissing(call, Providers);
        return new(501, StatusCode.Unimplemented, "ERR_API_UNIMPLEMENTED", "this API is currently not implemented");
    }
}
