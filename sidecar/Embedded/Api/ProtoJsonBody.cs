using System.Text;
using EmbeddedSidecar.Formats;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace EmbeddedSidecar.Api;

/// <summary>
/// Bodies that daprd reads as the JSON form of a message: fields by either name, unknown ones passed over, no body is an empty message
/// (pkg/api/http/universal.go).
/// </summary>
internal static class ProtoJsonBody
{
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    /// <exception cref="ApiException">It is no such message; the texts are those of Go's protojson.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext context)
        where T : IMessage<T>, new()
    {
        var body = await RequestBody.ReadAsync(context);
        if (body.IsEmpty)
            return new T();
        try
        {
            return Parser.Parse<T>(Encoding.UTF8.GetString(body.Span));
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException)
        {
            var problem = Problem(body.Span, new T().Descriptor) ?? e.Message;
            throw new ApiException(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", $"failed deserializing HTTP body: proto: {problem}");
        }
    }

    /// <summary>The first thing that is wrong, by its line and column; the fields of these messages are all scalars.</summary>
    private static string? Problem(ReadOnlySpan<byte> body, MessageDescriptor type) => ProtoJsonSyntax.Describe(body, (name, value) =>
        type.Fields.InDeclarationOrder().FirstOrDefault(one => one.JsonName == name || one.Name == name) is { } field && !IsOf(type, field, value)
            ? $"invalid value for {field.FieldType.ToString().ToLowerInvariant()} field {field.JsonName}: {value}"
            : null);

    private static bool IsOf(MessageDescriptor type, FieldDescriptor field, string value)
    {
        try
        {
            Parser.Parse($"{{\"{field.JsonName}\":{value}}}", type);
            return true;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException)
        {
            return false;
        }
    }
}
