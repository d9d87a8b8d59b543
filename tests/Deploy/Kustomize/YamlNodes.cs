using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace DaprOrders.Deploy.Tests.Kustomize;

/// <summary>YAML as JSON: what is quoted is a string, what is plain a number, a truth value, null or a string.</summary>
internal static class YamlNodes
{
    public static List<JsonObject> Read(string file) => Parse(File.ReadAllText(file), file);

    public static List<JsonObject> Parse(string yaml, string source)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return
        [
            .. stream.Documents
                .Where(document => document.RootNode is not YamlScalarNode { Value: null or "" })
                .Select(document => Convert(document.RootNode) as JsonObject ?? throw new FormatException($"{source}: expected documents that are objects.")),
        ];
    }

    private static JsonNode? Convert(YamlNode node) => node switch
    {
        { Anchor.IsEmpty: false } => throw new FormatException($"line {node.Start.Line}: anchors are not read here."),
        YamlMappingNode map => new JsonObject(map.Children.Select(child => KeyValuePair.Create(((YamlScalarNode)child.Key).Value!, Convert(child.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(Convert)]),
        YamlScalarNode scalar => Convert(scalar),
        _ => throw new FormatException($"line {node.Start.Line}: {node.NodeType} is not read here."),
    };

    private static JsonValue? Convert(YamlScalarNode scalar)
    {
        var text = scalar.Value ?? "";
        if (scalar.Style != ScalarStyle.Plain)
            return JsonValue.Create(text);

        return text switch
        {
            "" or "~" or "null" => null,
            "true" => JsonValue.Create(true),
            "false" => JsonValue.Create(false),
            _ when int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(number),
            _ => JsonValue.Create(text),
        };
    }
}
