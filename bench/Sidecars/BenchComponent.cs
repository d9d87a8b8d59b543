using System.Text.RegularExpressions;

namespace DaprOrders.Bench.Sidecars;

/// <summary>A state store named statestore, or a broker named pubsub. In its YAML, {folder} is an empty folder of its own.</summary>
internal sealed partial record BenchComponent(string Type, string Yaml)
{
    public static BenchComponent InMemoryState { get; } = Of("statestore", "state.in-memory", ("actorStateStore", "true"));

    public static BenchComponent SqliteState { get; } = Of("statestore", "state.sqlite", ("actorStateStore", "true"), ("connectionString", "{folder}/state.db"));

    public static BenchComponent InMemoryPubSub { get; } = Of("pubsub", "pubsub.in-memory");

    public static BenchComponent SqlitePubSub { get; } = Of("pubsub", "pubsub.sqlite", ("connectionString", "{folder}/pubsub.db"));

    /// <summary>daprd has no broker on SQLite.</summary>
    public bool IsKnownToDaprd => Type != SqlitePubSub.Type;

    public static BenchComponent Read(FileInfo file)
    {
        var yaml = File.ReadAllText(file.FullName);
        return new(TypeLine().Match(yaml).Groups["type"].Value, yaml);
    }

    private static BenchComponent Of(string name, string type, params (string Name, string Value)[] metadata) => new(type, $$"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata: {name: {{name}}}
        spec:
          type: {{type}}
          version: v1
          metadata: [{{string.Join(", ", metadata.Select(item => $"{{name: {item.Name}, value: \"{item.Value}\"}}"))}}]
        """);

    [GeneratedRegex(@"^\s*type:\s*(?<type>\S+)", RegexOptions.Multiline)]
    private static partial Regex TypeLine();
}
