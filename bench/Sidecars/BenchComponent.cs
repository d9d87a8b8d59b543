using System.Text.RegularExpressions;

namespace DaprOrders.Bench.Sidecars;

/// <summary>A state store named statestore, or a broker named pubsub. In its YAML, {folder} is an empty folder of its own.</summary>
internal sealed partial record BenchComponent(string Type, string Yaml)
{
    public static BenchComponent InMemoryState { get; } = Of("statestore", "state.in-memory", "");

    public static BenchComponent SqliteState { get; } = Of("statestore", "state.sqlite", "{folder}/state.db");

    public static BenchComponent InMemoryPubSub { get; } = Of("pubsub", "pubsub.in-memory", "");

    public static BenchComponent SqlitePubSub { get; } = Of("pubsub", "pubsub.sqlite", "{folder}/pubsub.db");

    /// <summary>daprd has no broker on SQLite.</summary>
    public bool IsKnownToDaprd => Type != SqlitePubSub.Type;

    public static BenchComponent Read(FileInfo file)
    {
        var yaml = File.ReadAllText(file.FullName);
        return new(TypeLine().Match(yaml).Groups["type"].Value, yaml);
    }

    private static BenchComponent Of(string name, string type, string connection) => new(type, $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: {name}
        spec:
          type: {type}
          version: v1
          metadata:
            - name: {(name == "statestore" ? "actorStateStore" : "unused")}
              value: "true"
        {(connection.Length == 0 ? "" : $"    - name: connectionString\n      value: \"{connection}\"")}
        """.Replace("    - name: unused\n      value: \"true\"\n", "", StringComparison.Ordinal));

    [GeneratedRegex(@"^\s*type:\s*(?<type>\S+)", RegexOptions.Multiline)]
    private static partial Regex TypeLine();
}
