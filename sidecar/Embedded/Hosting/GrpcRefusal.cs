using System.Globalization;
using EmbeddedSidecar.Api;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace EmbeddedSidecar.Hosting;

/// <summary>A gRPC status answered before any method is reached: trailers only.</summary>
internal static class GrpcRefusal
{
    public static Task WriteAsync(HttpContext context, Grpc.Core.StatusCode code, string message)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = ((int)code).ToString(CultureInfo.InvariantCulture);
        context.Response.Headers["grpc-message"] = Uri.EscapeDataString(message);
        return Task.CompletedTask;
    }

    /// <summary>With the details that daprd's middleware gives.</summary>
    public static Task WriteAsync(HttpContext context, Grpc.Core.StatusCode code, string reason, int httpCode, string problem)
    {
        var status = new Google.Rpc.Status { Code = (int)code, Message = reason };
        status.Details.Add(Any.Pack(ApiException.Info(
            reason, ("http.code", httpCode.ToString(CultureInfo.InvariantCulture)), ("http.error_message", problem))));
        context.Response.Headers["grpc-status-details-bin"] = Convert.ToBase64String(status.ToByteArray());
        return WriteAsync(context, code, reason);
    }
}
