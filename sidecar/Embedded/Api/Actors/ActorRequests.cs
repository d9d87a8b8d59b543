using System.Runtime.InteropServices;
using System.Text.Json;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.Actors;

/// <summary>The JSON bodies of the actor API over HTTP.</summary>
internal static class ActorRequests
{
    private static readonly IReadOnlyDictionary<string, string> NoMetadata = new Dictionary<string, string>();

    /// <exception cref="JsonException">With Go's text.</exception>
    public static TimerRegistration Timer(ReadOnlyMemory<byte> body, ActorKey actor, string name)
    {
        using var json = RequestBody.Parse(body);
        var root = Object(json.RootElement);
        return new(actor, name, Text(root, "dueTime"), Text(root, "period"), Text(root, "ttl"), Text(root, "callback"), Data(root));
    }

    /// <summary>A reminder as it was asked for, its times not yet read.</summary>
    public sealed record ReminderRequest(string DueTime, string Period, string Ttl, byte[] Data, bool Overwrite, ReminderRetry Retry);

    /// <exception cref="JsonException">With Go's text.</exception>
    public static ReminderRequest Reminder(ReadOnlyMemory<byte> body)
    {
        using var json = RequestBody.Parse(body);
        var root = Object(json.RootElement);
        var overwrite = !GoJson.TryFindField(root, "overwrite", out var given) || given.ValueKind != JsonValueKind.False;
        return new(Text(root, "dueTime"), Text(root, "period"), Text(root, "ttl"), Data(root), overwrite, ReminderRetry.Default);
    }

    /// <summary>Values go the way of daprd: through Go's untyped JSON.</summary>
    /// <exception cref="JsonException">With Go's text.</exception>
    public static IReadOnlyList<ActorStateOperation> StateOperations(ReadOnlyMemory<byte> body)
    {
        using var json = RequestBody.Parse(body);
        if (json.RootElement.ValueKind == JsonValueKind.Null)
            return [];
        if (json.RootElement.ValueKind != JsonValueKind.Array)
            throw new JsonException($"json: cannot unmarshal {GoJson.Kind(json.RootElement)} into Go value of type []api.TransactionalOperation");
        return [.. json.RootElement.EnumerateArray().Select(Operation)];
    }

    private static ActorStateOperation Operation(JsonElement operation)
    {
        const string Type = "TransactionalOperation";
        if (operation.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null))
            throw new JsonException($"json: cannot unmarshal {GoJson.Kind(operation)} into Go value of type api.{Type}");
        var name = !GoJson.TryFindField(operation, "operation", out var named) ? "" : named.ValueKind == JsonValueKind.String
            ? GoJson.Text(named)
            : throw new JsonException($"json: cannot unmarshal {GoJson.Kind(named)} into Go struct field {Type}.operation of type api.OperationType");
        if (!GoJson.TryFindField(operation, "request", out var request))
            return new(name, "", default, null, NoMetadata) { Problem = "request data is empty" };
        if (name is not ("upsert" or "delete"))
            return new(name, "", default, null, NoMetadata);
        try
        {
            var fields = new MapStructure(request);
            var isUpsert = name == "upsert";
            var (key, etag, metadata) = (fields.Text("Key") ?? "", fields.Text("ETag"), isUpsert ? fields.Texts("Metadata") : null);
            fields.Check();
            return new(name, key, isUpsert && fields.Any("Value") is { } value ? GoJson.Reencode(value) : "null"u8.ToArray(), etag, metadata ?? NoMetadata) { IsJson = true };
        }
        catch (JsonException e) when (e.Message.StartsWith("json: ", StringComparison.Ordinal))
        {
            throw new JsonException(e.Message.Replace("Go value", $"Go struct field {Type}.request", StringComparison.Ordinal), e);
        }
        catch (JsonException e)
        {
            return new(name, "", default, null, NoMetadata) { Problem = e.Message };
        }
    }

    private static JsonElement Object(JsonElement json) => json.ValueKind is JsonValueKind.Object
        ? json
        : throw new JsonException($"json: cannot unmarshal {GoJson.Kind(json)} into Go value; expected an object");

    private static string Text(JsonElement json, string field)
    {
        if (!GoJson.TryFindField(json, field, out var value))
            return "";
        return value.ValueKind == JsonValueKind.String
            ? GoJson.Text(value)
            : throw new JsonException($"json: cannot unmarshal {GoJson.Kind(value)} into Go struct field .{field} of type string");
    }

    private static byte[] Data(JsonElement json) =>
        GoJson.TryFind(json, "data", out var data) ? GoJson.Compact(JsonMarshal.GetRawUtf8Value(data)) : [];
}
