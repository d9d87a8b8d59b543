using System.Globalization;
using DaprOrders.Sidecar.Formats;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace DaprOrders.Sidecar.Resources;

/// <summary>
/// A YAML map that is read strictly: every field is asked for by name, what has another shape than expected is an error, and so is
/// what nobody asked for (<see cref="EndOfFields"/>). Errors are gathered, not thrown, so that one run shows them all.
/// </summary>
internal sealed class YamlMap
{
    /// <summary>The library reads by recursion; no resource of Dapr's is nearly as deep.</summary>
    private const int DeepestNesting = 100;

    private readonly YamlMappingNode _node;
    private readonly string _path;
    private readonly List<ResourceError> _errors;
    private readonly StringComparison _case;
    private readonly List<string> _known = [];

    private YamlMap(string file, YamlMappingNode node, string path, List<ResourceError> errors, StringComparison keyCase)
    {
        File = file;
        _node = node;
        _path = path;
        _errors = errors;
        _case = keyCase;
    }

    public string File { get; }

    public SourceLocation Location => At(_node);

    /// <summary>The documents of a file; empty ones are left out. Field names ignore case as Dapr's do, unless told otherwise.</summary>
    public static IReadOnlyList<YamlMap> Documents(
        string file, string text, List<ResourceError> errors, StringComparison keyCase = StringComparison.OrdinalIgnoreCase)
    {
        var stream = new YamlStream();
        try
        {
            if (TooDeepAt(text) is { } line)
            {
                errors.Add(new(new(file, line), $"expected maps and lists of at most {DeepestNesting} levels, got more"));
                return [];
            }

            stream.Load(new StringReader(text));
        }
        catch (YamlException e)
        {
            errors.Add(new(new(file, (int)e.Start.Line), $"this is not well-formed YAML: {e.Message}"));
            return [];
        }

        var maps = new List<YamlMap>();
        foreach (var root in stream.Documents.Select(d => d.RootNode))
        {
            if (root is YamlMappingNode map)
                maps.Add(new(file, map, "", errors, keyCase));
            else if (!IsNull(root))
                errors.Add(new(new(file, (int)root.Start.Line), $"expected a map of fields, got {Describe(root)}"));
        }

        return maps;
    }

    public bool Has(string field) => Find(field) is not null;

    public void Error(string message, string? field = null)
    {
        var at = field is null ? _node : KeyOf(field) ?? _node;
        _errors.Add(new(At(at), field is null ? message : $"{PathOf(field)}: {message}"));
    }

    /// <summary>The field's text. Numbers and booleans are taken as they are written, as Dapr does.</summary>
    public string? Text(string field) => Find(field) switch
    {
        null => null,
        YamlScalarNode scalar => scalar.Value,
        var other => Unexpected<string>(field, "a text", other),
    };

    public string RequiredText(string field, string expected)
    {
        var text = Text(field);
        if (string.IsNullOrWhiteSpace(text) && Find(field) is null or YamlScalarNode)
            Error($"expected {expected}, got nothing", field);
        return text ?? "";
    }

    public string? OneOf(string field, params string[] allowed)
    {
        var text = Text(field);
        if (text is null)
            return null;
        var match = allowed.FirstOrDefault(a => a.Equals(text, StringComparison.OrdinalIgnoreCase));
        if (match is null)
            Error($"expected {string.Join(" or ", allowed)}, got \"{text}\"", field);
        return match;
    }

    public int? Integer(string field, int minimum = int.MinValue, int maximum = int.MaxValue)
    {
        var text = Text(field);
        if (text is null)
            return null;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= minimum && number <= maximum)
            return number;
        var range = (minimum, maximum) switch
        {
            (int.MinValue, int.MaxValue) => "",
            (_, int.MaxValue) => $" of {minimum} or more",
            _ => $" from {minimum} to {maximum}",
        };
        Error($"expected a whole number{range}, got \"{text}\"", field);
        return null;
    }

    public bool? Flag(string field)
    {
        var text = Text(field);
        if (text is null)
            return null;
        if (bool.TryParse(text, out var flag))
            return flag;
        Error($"expected true or false, got \"{text}\"", field);
        return null;
    }

    /// <summary>A Go duration. In resiliency files a bare whole number means milliseconds.</summary>
    public TimeSpan? Duration(string field, bool bareMilliseconds = false)
    {
        var text = Text(field);
        if (text is null)
            return null;
        if (bareMilliseconds && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds))
            return TimeSpan.FromMilliseconds(milliseconds);
        if (GoDuration.TryParse(text, out var duration) && duration >= TimeSpan.Zero)
            return duration;
        Error($"expected a duration such as 500ms, 5s or 1m30s, got \"{text}\"", field);
        return null;
    }

    public YamlMap? Map(string field) => Find(field) switch
    {
        null => null,
        YamlMappingNode map => new(File, map, PathOf(field), _errors, _case),
        var other => Unexpected<YamlMap>(field, "a map of fields", other),
    };

    public YamlMap? RequiredMap(string field)
    {
        if (!Has(field))
            Error("expected a map of fields, got nothing", field);
        return Map(field);
    }

    public IReadOnlyList<YamlMap> Maps(string field) => Items(field, "a list of maps", (node, path) =>
        node is YamlMappingNode map ? new YamlMap(File, map, path, _errors, _case) : UnexpectedAt<YamlMap>(path, "a map of fields", node));

    public IReadOnlyList<string> Texts(string field) => Items(field, "a list of texts", (node, path) =>
        node is YamlScalarNode { Value: { Length: > 0 } value } && !IsNull(node) ? value : UnexpectedAt<string>(path, "a text", node));

    /// <summary>The fields of a map whose names are the user's, for instance policies by their name.</summary>
    public IReadOnlyList<string> Names(string field) => Map(field) is { } map ? [.. map._node.Children.Keys.Select(KeyText)] : [];

    public IReadOnlyDictionary<string, string> TextMap(string field)
    {
        var map = Map(field);
        return Names(field).Select(name => (name, value: map!.Text(name))).Where(p => p.value is not null)
            .ToDictionary(p => p.name, p => p.value!, StringComparer.Ordinal);
    }

    /// <summary>Takes fields as known that are valid but mean nothing here.</summary>
    public void Skip(params string[] fields) => _known.AddRange(fields);

    /// <summary>Every field that was not asked for is a mistake.</summary>
    public void EndOfFields()
    {
        foreach (var key in _node.Children.Keys.Where(k => !_known.Any(n => n.Equals(KeyText(k), _case))))
        {
            var name = KeyText(key);
            var similar = _known.Where(n => Distance(n, name) <= Math.Max(1, n.Length / 3)).MinBy(n => Distance(n, name));
            var expected = similar is null ? $"expected one of {string.Join(", ", _known.Distinct())}" : $"did you mean {similar}?";
            _errors.Add(new(At(key), $"{PathOf(name)}: unknown field; {expected}"));
        }
    }

    /// <exception cref="YamlException">It is not well-formed.</exception>
    private static int? TooDeepAt(string text)
    {
        var parser = new Parser(new StringReader(text));
        for (var depth = 0; parser.MoveNext();)
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > DeepestNesting)
                return (int)parser.Current.Start.Line;
        }

        return null;
    }

    private List<T> Items<T>(string field, string expected, Func<YamlNode, string, T?> read)
        where T : class
    {
        switch (Find(field))
        {
            case null:
                return [];
            case YamlSequenceNode sequence:
                return [.. sequence.Children.Select((node, i) => read(node, $"{PathOf(field)}[{i}]")).OfType<T>()];
            case var other:
                Unexpected<T>(field, expected, other);
                return [];
        }
    }

    private YamlNode? Find(string field)
    {
        if (!_known.Contains(field))
            _known.Add(field);
        var node = KeyOf(field) is { } key ? _node.Children[key] : null;
        return node is null || IsNull(node) ? null : node;
    }

    private YamlNode? KeyOf(string field) =>
        _node.Children.Keys.FirstOrDefault(k => KeyText(k) == field) ?? _node.Children.Keys.FirstOrDefault(k => KeyText(k).Equals(field, _case));

    private T? Unexpected<T>(string field, string expected, YamlNode got)
        where T : class => UnexpectedAt<T>(PathOf(field), expected, got);

    private T? UnexpectedAt<T>(string path, string expected, YamlNode got)
        where T : class
    {
        _errors.Add(new(At(got), $"{path}: expected {expected}, got {Describe(got)}"));
        return null;
    }

    private SourceLocation At(YamlNode node) => new(File, (int)node.Start.Line);

    private string PathOf(string field) => _path.Length == 0 ? field : $"{_path}.{field}";

    private static string KeyText(YamlNode key) => key is YamlScalarNode { Value: { } value } ? value : key.ToString();

    private static bool IsNull(YamlNode node) =>
        node is YamlScalarNode { Style: ScalarStyle.Plain or ScalarStyle.Any, Value: null or "" or "~" or "null" or "Null" or "NULL" };

    private static string Describe(YamlNode node) => node switch
    {
        YamlSequenceNode => "a list",
        YamlMappingNode => "a map",
        _ when IsNull(node) => "nothing",
        YamlScalarNode scalar => $"\"{scalar.Value}\"",
        _ => node.ToString(),
    };

    /// <summary>How many letters must change, come or go.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? diagonal : diagonal + 1;
                diagonal = row[j];
                row[j] = Math.Min(cost, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
