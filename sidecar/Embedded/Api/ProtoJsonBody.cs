using System.Text;
using System.Text.Json;
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

    /// <summary>The first thing that is wrong, by its line and column; null where none of the fields is to blame.</summary>
    private static string? Problem(ReadOnlySpan<byte> body, MessageDescriptor type)
    {
        try
        {
            var reader = new Utf8JsonReader(body, GoJson.ReaderOptions);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = GoJson.Text(ref reader);
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                var value = Encoding.UTF8.GetString(body[start..(int)reader.BytesConsumed]);
                var field = type.Fields.InDeclarationOrder().FirstOrDefault(one => one.JsonName == name || one.Name == name);
                if (field is not null && !IsOf(type, field, value))
                    return $"({Position(body[..start])}): invalid value for {field.FieldType.ToString().ToLowerInvariant()} field {name}: {value}";
            }

            return null;
        }
        catch (JsonException e)
        {
            return GoJsonSyntax.Describe(body) is "unexpected EOF"
                ? "unexpected EOF"
                : $"syntax error (line {e.LineNumber + 1}:{e.BytePositionInLine + 1}): {GoJsonSyntax.Describe(body) ?? "unexpected token"}";
        }
    }

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

    private static string Position(ReadOnlySpan<byte> before) => $"line {before.Count((byte)'\n') + 1}:{before.Length - before.LastIndexOf((byte)'\n')}";
}
