using System.Text;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Bindings;

/// <summary>Calls of output bindings (dapr pkg/api/http, pkg/api/grpc). Over HTTP the metadata of an answer are headers that begin with <c>metadata.</c>.</summary>
internal static class OutputBindings
{
    private const string Baggage = "baggage";

    public static void MapOutputBindings(this IEndpointRouteBuilder routes, SidecarRuntime runtime) =>
        routes.MapMethods("/v1.0/bindings/{name}", Verbs.PostAndPut, context => InvokeAsync(context, runtime));

    public static void BindOutputBindings(this DaprGrpcMethods methods) => methods.Unary<InvokeBindingRequest, InvokeBindingResponse>("InvokeBinding", InvokeAsync);

    private static async Task InvokeAsync(HttpContext context, SidecarRuntime runtime)
    {
        var name = (string)context.GetRouteValue("name")!;
        var call = Read(await RequestBody.ReadAsync(context), Trace(TraceParent.Of(context), TraceParent.StateOf(context), context.Request.Headers[Baggage]));
        BindingAnswer? answer;
        try
        {
            answer = await InvokeAsync(runtime, name, call, context.RequestAborted);
        }
        catch (BindingException e)
        {
            AddMetadata(e.Metadata);
            throw Refusal(name, e.Message);
        }

        if (answer is null)
        {
            ApiErrors.NoContent(context);
            return;
        }

        AddMetadata(answer.Metadata);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = answer.Data.Length;
        await context.Response.Body.WriteAsync(answer.Data, context.RequestAborted);

        void AddMetadata(IReadOnlyDictionary<string, string> metadata)
        {
            foreach (var (field, value) in metadata)
                context.Response.Headers.Append("metadata." + field, ForwardedHeaders.Value(value.ReplaceLineEndings(" ")));
        }
    }

    private static async Task<InvokeBindingResponse> InvokeAsync(SidecarRuntime runtime, InvokeBindingRequest request, ServerCallContext call)
    {
        var metadata = Trace(
            TraceParent.Of(call.GetHttpContext()), call.RequestHeaders.GetValue("tracestate"), call.RequestHeaders.GetValue(Baggage));
        foreach (var (field, value) in request.Metadata)
            metadata.TryAdd(field, value);
        try
        {
            var answer = await InvokeAsync(runtime, request.Name, new(request.Operation, request.Data.Memory, metadata), call.CancellationToken);
            await call.WriteResponseHeadersAsync(Headers(answer?.Metadata ?? new Dictionary<string, string>()));
            return answer is null ? new() : new() { Data = UnsafeByteOperations.UnsafeWrap(answer.Data), Metadata = { answer.Metadata.ToDictionary() } };
        }
        catch (BindingException e)
        {
            await call.WriteResponseHeadersAsync(Headers(e.Metadata));
            throw Refusal(request.Name, e.Message);
        }

        Grpc.Core.Metadata Headers(IReadOnlyDictionary<string, string> ofAnswer)
        {
            Grpc.Core.Metadata headers = [];
            if (runtime.Loaded.Configuration.Tracing.IsOn && AppCallbacks.Traced(TraceParent.Of(call.GetHttpContext())).Get("grpc-trace-bin") is { } trace)
                headers.Add(trace);
            foreach (var (field, value) in ofAnswer)
            {
                var name = $"metadata.{field.ToLowerInvariant()}";
                if (name.EndsWith("-bin", StringComparison.Ordinal))
                    headers.Add(name, Encoding.UTF8.GetBytes(value));
                else if (GoText.IsMetadataName(name))
                    headers.Add(name, ForwardedHeaders.Value(value.ReplaceLineEndings(" ")));
            }

            return headers;
        }
    }

    /// <exception cref="BindingException">With daprd's text.</exception>
    public static Task<BindingAnswer?> InvokeAsync(SidecarRuntime runtime, string name, BindingCall call, CancellationToken cancellationToken) =>
        runtime.Loaded.OutputBindings.TryGetValue(name, out var binding)
            ? binding.InvokeAsync(call, cancellationToken)
            : throw new BindingException(call.Operation.Length == 0 ? OutputBindingComponent.NoOperation : $"couldn't find output binding {name}");

    /// <summary>Data goes the way of daprd: through Go's untyped JSON; where there is none, it is null.</summary>
    private static BindingCall Read(ReadOnlyMemory<byte> body, Dictionary<string, string> metadata)
    {
        try
        {
            using var json = RequestBody.Parse(body);
            var root = json.RootElement;
            if (root.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null))
                throw new JsonException($"json: cannot unmarshal {GoJson.Kind(root)} into Go value of type http.OutputBindingRequest");
            if (TryFind(root, "metadata", out var given))
            {
                if (given.ValueKind != JsonValueKind.Object)
                    throw Mismatch(given, "metadata", "map[string]string");
                foreach (var (field, value) in GoJson.Fields(given, field => field.Value))
                    metadata.TryAdd(field, value.ValueKind is JsonValueKind.String ? GoJson.Text(value) : value.ValueKind is JsonValueKind.Null ? "" : throw Mismatch(value, "metadata", "string"));
            }

            var operation = !TryFind(root, "operation", out var named) ? "" : named.ValueKind is JsonValueKind.String ? GoJson.Text(named) : throw Mismatch(named, "operation", "string");
            return new(operation, TryFind(root, "data", out var data) ? GoJson.Reencode(data) : "null"u8.ToArray(), metadata);
        }
        catch (JsonException e)
        {
            throw new ApiException(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", $"failed deserializing HTTP body: {e.Message}");
        }
    }

    /// <summary>A field of a Go struct: by its name in any case, of which the last one counts.</summary>
    private static bool TryFind(JsonElement root, string name, out JsonElement value)
    {
        value = root.ValueKind == JsonValueKind.Object
            ? root.EnumerateObject().LastOrDefault(field => GoJson.Name(field).Equals(name, StringComparison.OrdinalIgnoreCase)).Value
            : default;
        return value.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null);
    }

    private static JsonException Mismatch(JsonElement value, string field, string type) =>
        new($"json: cannot unmarshal {GoJson.Kind(value)} into Go struct field OutputBindingRequest.{field} of type {type}");

    /// <summary>The trace is handed on as metadata, and a caller's own fields of these names are not.</summary>
    private static Dictionary<string, string> Trace(string traceParent, string? traceState, string? baggage)
    {
        var metadata = new Dictionary<string, string> { ["traceparent"] = traceParent };
        if (traceState is { Length: > 0 })
            metadata["tracestate"] = traceState;
        if (baggage is { Length: > 0 })
            metadata[Baggage] = baggage;
        return metadata;
    }

    private static ApiException Refusal(string name, string reason)
    {
        const string Code = "ERR_INVOKE_OUTPUT_BINDING";
        return new ApiException(500, StatusCode.Internal, Code, $"error invoking output binding {name}: {reason}") { GrpcDetails = [ApiException.Info(Code)] };
    }
}
