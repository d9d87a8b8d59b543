using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Components.Secrets.LocalFile;

/// <summary>
/// secretstores.local.file: a JSON file, read once. Nested values are secrets of their own, named by their path (<c>nested:key</c>); with
/// <c>multiValued</c> a nested object is one secret with several values, and besides there are only texts. What is no text becomes one as in daprd, by Go's <c>%s</c>,
/// which says so: <c>%!s(float64=5)</c>.
/// </summary>
internal sealed class LocalFileSecretStore : ISecretStore
{
    private readonly Dictionary<string, IReadOnlyDictionary<string, string>> _secrets = [];

    private LocalFileSecretStore(JsonElement root, string separator, bool multiValued)
    {
        foreach (var property in root.EnumerateObject())
        {
            var values = new Dictionary<string, string>();
            if (multiValued && property.Value.ValueKind is not (JsonValueKind.Object or JsonValueKind.String))
                continue;
            if (multiValued && property.Value.ValueKind == JsonValueKind.Object)
            {
                foreach (var inner in property.Value.EnumerateObject())
                    Flatten(inner.Name, inner.Value, separator, values);
                _secrets[property.Name] = values;
                continue;
            }

            Flatten(property.Name, property.Value, separator, values);
            foreach (var (name, value) in values)
                _secrets[name] = new Dictionary<string, string> { [name] = value };
        }
    }

    public static ComponentType ComponentType { get; } = new("secretstores.local.file", "v1", ["secretsFile", "nestedSeparator", "multiValued"], CreateAsync) { Paths = ["secretsFile"] };

    public Task<IReadOnlyDictionary<string, string>> GetAsync(string key, CancellationToken cancellationToken) =>
        _secrets.TryGetValue(key, out var secret) ? Task.FromResult(secret)
        : Task.FromException<IReadOnlyDictionary<string, string>>(new KeyNotFoundException($"secret {key} not found"));

    public Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> GetAllAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>>(_secrets);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(metadata.Required("secretsFile"));
        if (!File.Exists(path))
            throw metadata.Invalid("secretsFile", $"the path of a JSON file (looked for at {path})");
        try
        {
            await using var file = File.OpenRead(path);
            using var document = await JsonDocument.ParseAsync(file, default, cancellationToken);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new LocalFileSecretStore(document.RootElement, metadata.Text("nestedSeparator", ":"), metadata.Boolean("multiValued", false))
                : throw metadata.Invalid("secretsFile", "a file with a JSON object");
        }
        catch (JsonException e)
        {
            throw metadata.Invalid("secretsFile", $"a file with a JSON object ({e.Message})");
        }
    }

    private static void Flatten(string name, JsonElement element, string separator, Dictionary<string, string> values)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                    Flatten(name + separator + property.Name, property.Value, separator, values);
                break;
            case JsonValueKind.Array:
                foreach (var (index, item) in element.EnumerateArray().Index())
                    Flatten($"{name}{separator}{index}", item, separator, values);
                break;
            case JsonValueKind.String:
                values[name] = element.GetString()!;
                break;
            case JsonValueKind.Null:
                values[name] = "%!s(<nil>)";
                break;
            default:
                var type = element.ValueKind == JsonValueKind.Number ? "float64" : "bool";
                values[name] = $"%!s({type}={GoText.OfJson(GoJson.Reencode(element))})";
                break;
        }
    }
}
