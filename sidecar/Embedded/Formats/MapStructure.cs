using System.Text.Json;

namespace EmbeddedSidecar.Formats;

/// <summary>
/// Reads an object as daprd does by mapstructure (mitchellh/mapstructure, Decode): fields by their names in Go, without case; a null is nothing; and what is of the wrong
/// type is told all at once.
/// </summary>
internal sealed class MapStructure
{
    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.OrdinalIgnoreCase);
    private readonly string _path;
    private readonly List<string> _problems;

    /// <exception cref="JsonException">It is neither an object nor nothing.</exception>
    public MapStructure(JsonElement input)
        : this("", [])
    {
        if (!TryOpen(input))
            throw new JsonException(NoMap("", input));
    }

    private MapStructure(string path, List<string> problems) => (_path, _problems) = (path, problems);

    /// <exception cref="JsonException">With all that was found to be wrong.</exception>
    public void Check()
    {
        if (_problems.Count > 0)
            throw new JsonException($"{_problems.Count} error(s) decoding:\n\n{string.Join('\n', _problems.Order(StringComparer.Ordinal))}");
    }

    public JsonElement? Any(string name) => _fields.TryGetValue(name, out var value) ? value : null;

    public string? Text(string name) => Any(name) is { } value ? Text(value, _path + name) : null;

    public MapStructure Struct(string name)
    {
        var inner = new MapStructure($"{_path}{name}.", _problems);
        if (Any(name) is { } value && !inner.TryOpen(value))
            _problems.Add("* " + NoMap(_path + name, value));
        return inner;
    }

    public Dictionary<string, string>? Texts(string name)
    {
        if (Any(name) is not { } map)
            return null;
        if (map.ValueKind == JsonValueKind.Object)
            return GoJson.Fields(map, field => field.Value.ValueKind == JsonValueKind.Null ? "" : Text(field.Value, $"{_path}{name}[{GoJson.Name(field)}]"));
        _problems.Add("* " + NoMap(_path + name, map));
        return null;
    }

    private bool TryOpen(JsonElement input)
    {
        if (input.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return true;
        if (input.ValueKind != JsonValueKind.Object)
            return false;
        foreach (var field in input.EnumerateObject())
        {
            if (field.Value.ValueKind == JsonValueKind.Null)
                _fields.Remove(GoJson.Name(field));
            else
                _fields[GoJson.Name(field)] = field.Value;
        }

        return true;
    }

    private string Text(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.String)
            return GoJson.Text(value);
        _problems.Add($"* '{path}' expected type 'string', got unconvertible type '{Type(value)}', value: '{GoText.OfJson(GoJson.Reencode(value))}'");
        return "";
    }

    private static string NoMap(string path, JsonElement value) => $"'{path}' expected a map, got '{(value.ValueKind == JsonValueKind.Array ? "slice" : Type(value))}'";

    private static string Type(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "map[string]interface {}",
        JsonValueKind.Array => "[]interface {}",
        JsonValueKind.Number => "float64",
        JsonValueKind.String => "string",
        _ => "bool",
    };
}
