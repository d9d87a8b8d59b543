using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using EmbeddedSidecar.Api;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;

namespace EmbeddedSidecar.Hosting;

/// <summary>Turns what an API throws into daprd's answers.</summary>
internal static class ApiErrors
{
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Null where the exception is to pass as it is: a status, or a call that its caller gave up.</summary>
    public static RpcException? ToRpc(Exception exception, ServerCallContext call, SidecarRuntime runtime)
    {
        switch (exception)
        {
            case RpcException:
            case OperationCanceledException when call.CancellationToken.IsCancellationRequested:
                return null;
            case ApiException error:
                return ToRpc(error);
            default:
                runtime.Logger.LogError(exception, "{Method} failed", call.Method);
                return new RpcException(new Grpc.Core.Status(StatusCode.Internal, exception.Message));
        }
    }

    public static RpcException ToRpc(ApiException error)
    {
        var message = error.GrpcMessage ?? error.Message;
        var trailers = new Metadata();
        if ((error.GrpcDetails ?? error.Details) is { Count: > 0 } details)
        {
            var status = new Google.Rpc.Status { Code = (int)error.GrpcStatus, Message = message };
            status.Details.AddRange(details.Select(detail => Any.Pack(detail)));
            trailers.Add("grpc-status-details-bin", status.ToByteArray());
        }

        return new RpcException(new Grpc.Core.Status(error.GrpcStatus, message), trailers);
    }

    public static async Task TranslateAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime)
    {
        try
        {
            await next(context);
        }
        catch (ApiException error) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, error);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            context.Abort();
        }
        catch (BadHttpRequestException error) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, new ApiException(error.StatusCode, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", error.Message));
        }
        catch (Exception error) when (!context.Response.HasStarted)
        {
            runtime.Logger.LogError(error, "{Method} {Path} failed", context.Request.Method, context.Request.Path);
            await WriteAsync(context, new ApiException(500, StatusCode.Internal, "ERROR", error.Message));
        }
    }

    public static async Task WriteAsync(HttpContext context, ApiException error)
    {
        var body = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(body, JsonOptions))
        {
            writer.WriteStartObject();
            if (error.Details.Count > 0)
            {
                writer.WriteStartArray("details");
                foreach (var detail in error.Details)
                    WriteDetail(writer, detail);

                writer.WriteEndArray();
            }

            writer.WriteString("errorCode", error.ErrorCode);
            writer.WriteString("message", error.Message);
            writer.WriteEndObject();
        }

        context.Response.StatusCode = error.HttpStatus;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.WrittenCount;
        await context.Response.Body.WriteAsync(body.WrittenMemory, context.RequestAborted);
    }

    /// <summary>An empty 204, as daprd answers where there is nothing to say.</summary>
    public static void NoContent(HttpContext context) => context.Response.StatusCode = StatusCodes.Status204NoContent;

    /// <summary>daprd writes the details with its own structs: proto field names, every field present. Only its pub/sub errors have metadata where there is none.</summary>
    private static void WriteDetail(Utf8JsonWriter writer, IMessage detail)
    {
        writer.WriteStartObject();
        writer.WriteString("@type", "type.googleapis.com/" + detail.Descriptor.FullName);
        switch (detail)
        {
            case ErrorInfo info:
                writer.WriteString("domain", info.Domain);
                if (info.Metadata.Count == 0 && !info.Reason.StartsWith("DAPR_PUBSUB_", StringComparison.Ordinal))
                {
                    writer.WriteNull("metadata");
                }
                else
                {
                    writer.WriteStartObject("metadata");
                    foreach (var (name, value) in info.Metadata)
                        writer.WriteString(name, value);

                    writer.WriteEndObject();
                }

                writer.WriteString("reason", info.Reason);
                break;
            case ResourceInfo resource:
                writer.WriteString("description", resource.Description);
                writer.WriteString("owner", resource.Owner);
                writer.WriteString("resource_name", resource.ResourceName);
                writer.WriteString("resource_type", resource.ResourceType);
                break;
            case BadRequest bad:
                writer.WriteStartArray("field_violations");
                foreach (var violation in bad.FieldViolations)
                {
                    writer.WriteStartObject();
                    writer.WriteString("description", violation.Description);
                    if (violation.Field.Length > 0)
                        writer.WriteString("field", violation.Field);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                break;
            case Help help:
                writer.WriteStartArray("links");
                foreach (var link in help.Links)
                {
                    writer.WriteStartObject();
                    writer.WriteString("description", link.Description);
                    writer.WriteString("url", link.Url);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                break;
            default:
                throw new NotSupportedException($"Error details of type {detail.Descriptor.FullName} have no JSON form here.");
        }

        writer.WriteEndObject();
    }
}
