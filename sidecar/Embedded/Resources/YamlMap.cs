using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using EmbeddedSidecar.Formats;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace EmbeddedSidecar.Resources;

/// <summary>
/// A YAML map of which every field is asked for by name: what has another shape than expected is an error, what nobody asked for a warning
/// (<see cref="EndOfFields"/>). Both are gathered, not thrown, so that one run shows them all.
/// </summary>
internal sealed partial class YamlMap
{
    /// <summary>The library reads by recursion; no resource of Dapr's is nearly as deep.</summary>
    private const int DeepestNesting = 100;

    private readonly YamlMappingNode _node;
    private readonly List<KeyValuePair<YamlNode, YamlNode>> _fields = [];
    private readonly string _path;
    private readonly YamlFindings _findings;
    private readonly StringComparison _case;
    private readonly List<string> _known = [];

    private YamlMap(string file, YamlMappingNode node, string path, YamlFindings findings, StringComparison keyCase)
    {
        File = file;
        _node = node;
        _path = path;
        _findings = findings;
        _case = keyCase;
        AddFields(node, new(ReferenceEqualityComparer.Instance));
    }

    public string File { get; }

    public SourceLocation Location => At(_node);

    /// <summary>What was found in the whole document so far.</summary>
    public YamlFindings Findings => _findings;

    /// <summary>The documents of a file; empty ones are left out. Field names ignore case as Dapr's do, unless told otherwise.</summary>
    public static IReadOnlyList<YamlMap> Documents(
        string file, string text, List<ResourceError> errors, StringComparison keyCase = StringComparison.OrdinalIgnoreCase, bool lastKeyCounts = false)
    {
        var stream = new YamlStream();
        var again = new List<Scalar>();
        try
        {
            if (TooDeepAt(text) is { } line)
            {
                errors.Add(new(new(file, line), $"expected maps and lists of at most {DeepestNesting} levels, got more"));
                return [];
            }

            var parser = new Parser(new StringReader(text));
            stream.Load(lastKeyCounts ? LastOfEachKey(parser, again) : parser);
        }
        catch (YamlException e)
        {
            errors.Add(TabIn(text) is { } at
                ? new(new(file, at), "this is not well-formed YAML: the line is indented by a tab; expected spaces")
                : new(new(file, (int)e.Start.Line), $"this is not well-formed YAML: {e.Message}"));
            return [];
        }

        var maps = new List<YamlMap>();
        foreach (var root in stream.Documents.Select(d => d.RootNode))
        {
            if (root is YamlMappingNode map)
                maps.Add(new(file, map, "", new YamlFindings(), keyCase));
            else if (!IsNull(root))
                errors.Add(new(new(file, (int)root.Start.Line), $"expected a map of fields, got {Describe(root)}"));
        }

        foreach (var key in maps.Count > 0 ? again : [])
            maps[0].Findings.Add(new(new(file, (int)key.Start.Line), $"\"{key.Value}\" is given twice; Dapr takes this, the last one") { IsWarning = true });
        return maps;
    }

    /// <summary>As <see cref="Documents"/>, but each document by itself, as daprd reads resources: a malformed one takes none of the others with it.</summary>
    public static IReadOnlyList<YamlMap> DocumentsOneByOne(string file, string text, List<ResourceError> errors)
    {
        var maps = new List<YamlMap>();
        var lines = 0;
        foreach (var document in DocumentStart().Split(text))
        {
            // Empty lines in the place of what came before keep the numbers of the lines.
            maps.AddRange(Documents(file, new string('\n', lines) + document, errors, lastKeyCounts: true));
            lines += document.Count(c => c == '\n');
        }

        return maps;
    }

    public bool Has(string field) => Find(field) is not null;

    public void Error(string message, string? field = null) => _findings.Add(Problem(message, field));

    public void Warning(string message, string? field = null) => _findings.Add(Problem(message, field) with { IsWarning = true });

    /// <summary>A mistake at the field, for those who find it later.</summary>
    public ResourceError Problem(string message, string? field = null) =>
        new(field is null ? Location : LocationOf(field), field is null ? message : $"{PathOf(field)}: {message}");

    /// <summary>Of a field that is not there, the map's.</summary>
    public SourceLocation LocationOf(string field) => At(KeyOf(field) ?? _node);

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

    /// <summary>As <see cref="Text"/>; a list or a map as its JSON, and null as nothing: what Dapr makes of a value that may be anything.</summary>
    public string? AnyText(string field) => Find(field) is { } node and not YamlScalarNode ? Json(node, DeepestNesting) : Text(field);

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
        var text = Plain(field, "a whole number");
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
        var problem = Problem($"expected a whole number{range}, got \"{text}\"", field);
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
            _findings.Add(problem);
        else
            _findings.AddUnreadable(problem);
        return null;
    }

    public bool? Flag(string field)
    {
        if (Plain(field, "true or false") is not { } text)
            return null;
        if (bool.TryParse(text, out var flag))
            return flag;
        Unexpected<string>(field, "true or false", Find(field)!);
        return null;
    }

    /// <summary>A Go duration. In resiliency files a bare whole number means milliseconds.</summary>
    /// <param name="field">Its name.</param>
    /// <param name="bareMilliseconds">In a resiliency file.</param>
    /// <param name="otherwise">What Dapr takes in the place of what is no duration; null where it takes nothing.</param>
    public TimeSpan? Duration(string field, bool bareMilliseconds = false, string? otherwise = null)
    {
        var text = Text(field);
        if (text is null)
            return null;
        if (bareMilliseconds && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds))
            return TimeSpan.FromMilliseconds(milliseconds);
        if (GoDuration.TryParse(text, out var duration) && duration >= TimeSpan.Zero)
            return duration;
        var problem = $"expected a duration such as 500ms, 5s or 1m30s, got \"{text}\"";
        if (otherwise is null)
            Error(problem, field);
        else
            Warning($"{problem}; Dapr takes {otherwise}", field);
        return null;
    }

    public YamlMap? Map(string field) => Find(field) switch
    {
        null => null,
        YamlMappingNode map => new(File, map, PathOf(field), _findings, _case),
        var other => Unexpected<YamlMap>(field, "a map of fields", other),
    };

    public YamlMap? RequiredMap(string field)
    {
        if (!Has(field))
            Error("expected a map of fields, got nothing", field);
        return Map(field);
    }

    public IReadOnlyList<YamlMap> Maps(string field) => Items(field, "a list of maps", (node, path) =>
        node is YamlMappingNode map ? new YamlMap(File, map, path, _findings, _case) : UnexpectedAt<YamlMap>(path, "a map of fields", node));

    /// <summary>As <see cref="Texts"/>, empty ones included: the words of a command.</summary>
    public IReadOnlyList<string> Words(string field) => Items(field, "a list of texts", (node, path) =>
        node is YamlScalarNode scalar ? IsNull(node) ? "" : scalar.Value ?? "" : UnexpectedAt<string>(path, "a text", node));

    public IReadOnlyList<string> Texts(string field) => Items(field, "a list of texts", (node, path) =>
        node is YamlScalarNode { Value: { Length: > 0 } value } && !IsNull(node) ? value : UnexpectedAt<string>(path, "a text", node));

    /// <summary>The fields of a map whose names are the user's, for instance policies by their name.</summary>
    public IReadOnlyList<string> Names(string field) => Map(field) is { } map ? [.. map._fields.Select(f => KeyText(f.Key))] : [];

    /// <summary>Null is the empty text, as in Go.</summary>
    public IReadOnlyDictionary<string, string> TextMap(string field)
    {
        var map = Map(field);
        return Names(field).ToDictionary(name => name, name => map!.Text(name) ?? "", StringComparer.Ordinal);
    }

    /// <summary>Takes fields as known that are valid but mean nothing here.</summary>
    public void Skip(params string[] fields) => _known.AddRange(fields);

    /// <summary>Every field that was not asked for is told, but for those that begin with x-, which are nobody's but their writer's.</summary>
    public void EndOfFields()
    {
        foreach (var key in _fields.Select(f => f.Key).Where(k => !_known.Any(n => n.Equals(KeyText(k), _case))))
        {
            var name = KeyText(key);
            if (name.StartsWith("x-", StringComparison.Ordinal))
                continue;
            var similar = _known.Where(n => Distance(n, name) <= Math.Max(1, n.Length / 3)).MinBy(n => Distance(n, name));
            var expected = similar is null ? $"expected one of {string.Join(", ", _known.Distinct())};" : $"did you mean {similar}?";
            _findings.Add(new(At(key), $"{PathOf(name)}: unknown field; {expected} Dapr passes over it") { IsWarning = true });
        }
    }

    /// <summary>Without the fields of a map whose name comes again in it: the library refuses them, and daprd takes the last one.</summary>
    /// <exception cref="YamlException">It is not well-formed.</exception>
    private static Replay LastOfEachKey(Parser parser, List<Scalar> again)
    {
        var events = new List<ParsingEvent>();
        while (parser.MoveNext())
            events.Add(parser.Current!);
        var isLeftOut = new bool[events.Count];
        for (var map = 0; map < events.Count; map++)
        {
            if (events[map] is not MappingStart)
                continue;
            var fields = new Dictionary<string, (int Key, int End)>(StringComparer.Ordinal);
            for (var key = map + 1; events[key] is not MappingEnd;)
            {
                var end = EndOf(EndOf(key));
                if (events[key] is Scalar { Value: not "<<" } name)
                {
                    if (fields.TryGetValue(name.Value, out var earlier))
                    {
                        isLeftOut.AsSpan(earlier.Key..earlier.End).Fill(true);
                        again.Add(name);
                    }

                    fields[name.Value] = (key, end);
                }

                key = end;
            }
        }

        return new(events.Where((_, at) => !isLeftOut[at]));

        int EndOf(int node)
        {
            var depth = 0;
            do
                depth += events[node++].NestingIncrease;
            while (depth > 0);
            return node;
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
        var node = FieldOf(field)?.Value;
        return node is null || IsNull(node) ? null : node;
    }

    private YamlNode? KeyOf(string field) => FieldOf(field)?.Key;

    private KeyValuePair<YamlNode, YamlNode>? FieldOf(string field)
    {
        var at = _fields.FindIndex(f => KeyText(f.Key) == field);
        if (at < 0)
            at = _fields.FindIndex(f => KeyText(f.Key).Equals(field, _case));
        return at < 0 ? null : _fields[at];
    }

    /// <summary>The map's own fields, then those of the maps that its merge key (<c>&lt;&lt;</c>) names, as far as it has none of that name.</summary>
    private void AddFields(YamlMappingNode node, HashSet<YamlNode> merged)
    {
        if (!merged.Add(node))
            return;
        // A map's own keys differ, which the library sees to.
        var isOwn = merged.Count == 1;
        foreach (var field in node.Children.Where(f => !IsMergeKey(f.Key) && (isOwn || !_fields.Exists(known => KeyText(known.Key) == KeyText(f.Key)))))
            _fields.Add(field);
        foreach (var (_, from) in node.Children.Where(f => IsMergeKey(f.Key)))
        {
            foreach (var map in from is YamlSequenceNode several ? several.Children : [from])
            {
                if (map is YamlMappingNode more)
                    AddFields(more, merged);
                else
                    UnexpectedAt<string>(PathOf("<<"), "a map of fields", map);
            }
        }
    }

    private static bool IsMergeKey(YamlNode key) => key is YamlScalarNode { Style: ScalarStyle.Plain, Value: "<<" };

    /// <summary>Text that is not within quotation marks, which would make it a text for Go.</summary>
    private string? Plain(string field, string expected) => Find(field) switch
    {
        null => null,
        YamlScalarNode { Style: ScalarStyle.Plain or ScalarStyle.Any } scalar => scalar.Value,
        var other => Unexpected<string>(field, expected, other),
    };

    /// <summary>Null where aliases make it endless.</summary>
    private static string? Json(YamlNode node, int depth)
    {
        if (depth == 0)
            return null;
        switch (node)
        {
            case YamlSequenceNode list:
                return $"[{string.Join(',', list.Children.Select(item => Json(item, depth - 1)))}]";
            case YamlMappingNode map:
                var fields = map.Children.Select(field => (Name: KeyText(field.Key), field.Value)).OrderBy(field => field.Name, StringComparer.Ordinal);
                return $"{{{string.Join(',', fields.Select(field => $"{JsonSerializer.Serialize(field.Name)}:{Json(field.Value, depth - 1)}"))}}}";
            case var _ when IsNull(node):
                return "null";
            case YamlScalarNode { Style: ScalarStyle.Plain, Value: { } value } when value is "true" or "false" || JsonNumber().IsMatch(value):
                return value;
            default:
                return JsonSerializer.Serialize(KeyText(node));
        }
    }

    /// <summary>The first line that is indented by a tab: the library names a line that comes later.</summary>
    private static int? TabIn(string text) => text.Split('\n').Index().Where(line => line.Item.TrimStart(' ').StartsWith('\t')).Select(line => (int?)line.Index + 1).FirstOrDefault();

    [GeneratedRegex("^(?=---)", RegexOptions.Multiline)]
    private static partial Regex DocumentStart();

    [GeneratedRegex(@"^-?(0|[1-9]\d*)(\.\d+)?$")]
    private static partial Regex JsonNumber();

    private sealed class Replay(IEnumerable<ParsingEvent> events) : IParser
    {
        private readonly IEnumerator<ParsingEvent> _events = events.GetEnumerator();

        public ParsingEvent? Current { get; private set; }

        public bool MoveNext()
        {
            Current = _events.MoveNext() ? _events.Current : null;
            return Current is not null;
        }
    }

    private T? Unexpected<T>(string field, string expected, YamlNode got)
        where T : class => UnexpectedAt<T>(PathOf(field), expected, got);

    private T? UnexpectedAt<T>(string path, string expected, YamlNode got)
        where T : class
    {
        _findings.AddUnreadable(new(At(got), $"{path}: expected {expected}, got {Describe(got)}"));
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
