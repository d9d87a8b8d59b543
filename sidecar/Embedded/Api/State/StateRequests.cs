using System.Globalization;
using System.Text.Json;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.State;

/// <summary>An item of a request body. The value is JSON as Go would write it again.</summary>
internal sealed record StateRequestItem(
    string Key,
    ReadOnlyMemory<byte> Value,
    string? ETag,
    string? Concurrency,
    string? Consistency,
    string? ContentType,
    Dictionary<string, string> Metadata)
{
    public StateWrite ToUpsert(StateStoreComponent store, bool inTransaction)
    {
        try
        {
            var refusesUnknown = store.Store.RefusesUnknownOptions(ofDelete: false, inTransaction);
            return StateItems.Upsert(store, Key, Value, isJson: true, ETag, StateItems.ReadOptions(Concurrency, Consistency, refusesUnknown), Metadata);
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(store.FullKey(Key), e);
        }
    }

    public StateWrite ToDelete(StateStoreComponent store) => StateItems.Delete(store, Key, ETag, Concurrency, Consistency, inTransaction: true);
}

/// <summary>Reads the bodies of the state API; daprd's texts for bodies of the wrong shape are those of Go's decoder.</summary>
internal static class StateRequests
{
    private const string DeserializingPrefix = "failed deserializing HTTP body: ";

    private static readonly byte[] Null = "null"u8.ToArray();

    public static async Task<IReadOnlyList<StateRequestItem>> ReadSaveAsync(HttpContext context)
    {
        using var document = await ParseAsync(context, prefix: "");
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Null)
            return [];

        if (root.ValueKind != JsonValueKind.Array)
            throw StateErrors.Malformed($"json: cannot unmarshal {GoJson.Kind(root)} into Go value of type []state.SetRequest");

        var metadata = RequestBody.QueryMetadata(context);
        var items = new List<StateRequestItem>(root.GetArrayLength());
        foreach (var element in root.EnumerateArray())
            items.Add(ReadItem(element, metadata, prefix: ""));

        return items;
    }

    public static async Task<IReadOnlyList<StateOperation>> ReadTransactionAsync(HttpContext context, StateStoreComponent store)
    {
        const string Body = "stateTransactionRequestBody", Operation = "stateTransactionRequestBodyOperation";
        using var document = await ParseAsync(context, DeserializingPrefix);
        var root = Root(document.RootElement, Body);
        var operations = List(root, "operations", Body, $"http.{Operation}")
            .Select(one => one.ValueKind == JsonValueKind.Null ? one : Expect(one, JsonValueKind.Object, $"{Body}.operations", $"http.{Operation}", DeserializingPrefix))
            .Select(one => (Name: Text(one, "operation", $"{Operation}.operations", DeserializingPrefix) ?? "", Request: GoJson.TryFindField(one, "request", out var found) ? found : default))
            .ToList();
        Texts(root, "metadata", Body, DeserializingPrefix);

        var metadata = RequestBody.QueryMetadata(context);
        return [.. operations.Select(operation =>
        {
            if (operation.Name is not ("upsert" or "delete"))
                throw StateErrors.UnknownOperation(operation.Name);
            var item = ReadOperation(operation.Request, operation.Name == "upsert", metadata);
            if (!StateStoreComponent.IsLegal(item.Key))
                throw StateErrors.IllegalKey(store.Name, item.Key, namesKey: false);
            return new StateOperation(operation.Name == "upsert" ? item.ToUpsert(store, inTransaction: true) : item.ToDelete(store), item.ContentType, item.Metadata);
        })];
    }

    public static async Task<IReadOnlyList<string>> ReadKeysAsync(HttpContext context)
    {
        const string Body = "BulkGetRequest";
        using var document = await ParseAsync(context, DeserializingPrefix);
        var root = Root(document.RootElement, Body);
        List<string> keys = [.. List(root, "keys", Body, "string")
            .Select(key => key.ValueKind == JsonValueKind.Null ? "" : GoJson.Text(Expect(key, JsonValueKind.String, $"{Body}.keys", "string", DeserializingPrefix)))];
        Texts(root, "metadata", Body, DeserializingPrefix);
        if (GoJson.TryFindField(root, "parallelism", out var parallelism))
        {
            var number = Expect(parallelism, JsonValueKind.Number, $"{Body}.parallelism", "int", DeserializingPrefix).GetRawText();
            if (!long.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
                throw StateErrors.Malformed($"{DeserializingPrefix}json: cannot unmarshal number {number} into Go struct field {Body}.parallelism of type int");
        }

        return keys;
    }

    private static async Task<JsonDocument> ParseAsync(HttpContext context, string prefix)
    {
        try
        {
            return RequestBody.Parse(await RequestBody.ReadAsync(context));
        }
        catch (JsonException e)
        {
            throw StateErrors.Malformed(prefix + e.Message);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            // daprd cuts the body at the limit, and then cannot parse it.
            throw StateErrors.Malformed(prefix + e.Message);
        }
    }

    private static StateRequestItem ReadItem(JsonElement element, Dictionary<string, string> urlMetadata, string prefix)
    {
        if (element.ValueKind == JsonValueKind.Null)
            return new StateRequestItem("", Null, null, null, null, null, urlMetadata);

        if (element.ValueKind != JsonValueKind.Object)
            throw WrongType(element, "state.SetRequest", prefix);

        string? concurrency = null, consistency = null;
        if (GoJson.TryFindField(element, "options", out var options))
        {
            Expect(options, JsonValueKind.Object, "SetRequest.options", "state.SetStateOption", prefix);
            concurrency = Text(options, "Concurrency", "SetStateOption.options", prefix);
            consistency = Text(options, "Consistency", "SetStateOption.options", prefix);
        }

        return new StateRequestItem(
            Text(element, "key", "SetRequest", prefix) ?? "",
            GoJson.TryFindField(element, "value", out var content) ? Value(content, "SetRequest.value", prefix) : Null,
            Text(element, "etag", "SetRequest", prefix) is { Length: > 0 } etag ? etag : null,
            concurrency,
            consistency,
            Text(element, "contentType", "SetRequest", prefix),
            Merge(Texts(element, "metadata", "SetRequest", prefix), urlMetadata));
    }

    /// <summary>What stands in an operation of a transaction: of one that deletes neither value nor content type are looked at.</summary>
    private static StateRequestItem ReadOperation(JsonElement request, bool isUpsert, Dictionary<string, string> urlMetadata)
    {
        const string Field = "stateTransactionRequestBodyOperation.operations.request";
        try
        {
            var fields = new MapStructure(request);
            var options = fields.Struct("Options");
            var item = new StateRequestItem(
                fields.Text("Key") ?? "",
                isUpsert && fields.Any("Value") is { } value ? Value(value, Field, DeserializingPrefix) : Null,
                fields.Text("ETag") is { Length: > 0 } etag ? etag : null,
                options.Text("Concurrency"),
                options.Text("Consistency"),
                isUpsert ? fields.Text("ContentType") : null,
                Merge(fields.Texts("Metadata"), urlMetadata));
            fields.Check();
            return item;
        }
        catch (JsonException e)
        {
            throw StateErrors.Malformed(DeserializingPrefix + InField(e, Field));
        }
    }

    private static Dictionary<string, string> Merge(Dictionary<string, string>? own, Dictionary<string, string> urlMetadata)
    {
        if (own is null)
            return urlMetadata;
        foreach (var (name, value) in urlMetadata)
            own[name] = value;
        return own;
    }

    private static byte[] Value(JsonElement value, string field, string prefix)
    {
        try
        {
            return GoJson.Reencode(value);
        }
        catch (JsonException e)
        {
            throw StateErrors.Malformed(prefix + InField(e, field));
        }
    }

    private static string InField(JsonException e, string field) => e.Message.Replace("Go value", $"Go struct field {field}", StringComparison.Ordinal);

    private static JsonElement Root(JsonElement root, string type) =>
        root.ValueKind is JsonValueKind.Object or JsonValueKind.Null ? root : throw WrongType(root, "http." + type, DeserializingPrefix);

    private static IEnumerable<JsonElement> List(JsonElement root, string name, string type, string itemType) => GoJson.TryFindField(root, name, out var list)
        ? Expect(list, JsonValueKind.Array, $"{type}.{name}", $"[]{itemType}", DeserializingPrefix).EnumerateArray()
        : Enumerable.Empty<JsonElement>();

    private static Dictionary<string, string>? Texts(JsonElement element, string name, string type, string prefix) => GoJson.TryFindField(element, name, out var texts)
        ? GoJson.Fields(
            Expect(texts, JsonValueKind.Object, $"{type}.{name}", "map[string]string", prefix),
            field => field.Value.ValueKind == JsonValueKind.Null ? "" : GoJson.Text(Expect(field.Value, JsonValueKind.String, $"{type}.{name}", "string", prefix)))
        : null;

    private static string? Text(JsonElement element, string name, string type, string prefix) =>
        GoJson.TryFindField(element, name, out var value) ? GoJson.Text(Expect(value, JsonValueKind.String, $"{type}.{name}", "string", prefix)) : null;

    /// <summary>A wrong type is refused: an ETag that is a number must not become a write without condition.</summary>
    private static JsonElement Expect(JsonElement value, JsonValueKind kind, string field, string type, string prefix) =>
        value.ValueKind == kind
            ? value
            : throw StateErrors.Malformed($"{prefix}json: cannot unmarshal {GoJson.Kind(value)} into Go struct field {field} of type {type}");

    private static ApiException WrongType(JsonElement element, string type, string prefix) =>
        StateErrors.Malformed($"{prefix}json: cannot unmarshal {GoJson.Kind(element)} into Go value of type {type}");
}
