using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>One of dapr/quickstarts, as its README runs it.</summary>
/// <param name="Folder">Where the README lies.</param>
/// <param name="RunFile">Its own, or, where the README starts its apps one by one, theirs in one file.</param>
/// <param name="Expected">What the apps write, by the README.</param>
/// <param name="Redis">Commands for the Redis of <c>dapr init</c> that come before.</param>
internal sealed partial record Quickstart(string Folder, string RunFile, bool HasRunFile, IReadOnlyList<string> Expected, IReadOnlyList<string> Redis)
{
    private static readonly Dictionary<string, string> Fields = new()
    {
        ["app-id"] = "appID",
        ["app-port"] = "appPort",
        ["app-protocol"] = "appProtocol",
        ["dapr-http-port"] = "daprHTTPPort",
        ["dapr-grpc-port"] = "daprGRPCPort",
        ["resources-path"] = "resourcesPath",
        ["components-path"] = "resourcesPath",
    };

    /// <param name="readme">Its README.md.</param>
    /// <param name="folder">Where a run file may be written.</param>
    /// <returns>Null where it starts nothing with Dapr.</returns>
    public static Quickstart? Read(string readme, string folder)
    {
        var at = Path.GetDirectoryName(readme)!;
        var steps = Step().Matches(File.ReadAllText(readme).ReplaceLineEndings("\n")).Select(step => (Head: Head(step.Groups["head"].Value), Script: step.Groups["script"].Value)).ToList();
        var redis = steps.SelectMany(step => RedisCommand().Matches(step.Script)).Select(match => match.Groups["command"].Value).Take(1).ToList();
        var file = Path.Combine(at, "dapr.yaml");
        if (File.Exists(file))
        {
            var step = steps.FirstOrDefault(step => step.Script.Contains("dapr run -f", StringComparison.Ordinal));
            return step.Head is null ? null : new(at, file, true, ExpectedOf(step.Head), redis);
        }

        var runs = steps.Select(step => (step.Head, Run: Run().Match(step.Script))).Where(step => step.Run.Success).ToList();
        if (runs.Count == 0)
            return null;
        var apps = new JsonArray([.. runs.Select(step => (JsonNode)App(at, step.Run))]);
        file = Path.Combine(folder, "dapr.yaml");
        File.WriteAllText(file, new JsonObject { ["version"] = 1, ["apps"] = apps }.ToJsonString());
        return new(at, file, false, [.. runs.SelectMany(step => ExpectedOf(step.Head))], redis);
    }

    private static JsonObject App(string folder, Match run)
    {
        var directory = Path.GetFullPath(run.Groups["cd"].Value.Trim(), folder);
        var app = new JsonObject { ["appDirPath"] = directory, ["command"] = new JsonArray([.. run.Groups["command"].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)]) };
        foreach (Match flag in Flag().Matches(run.Groups["flags"].Value))
        {
            var (field, value) = (Fields.GetValueOrDefault(flag.Groups["name"].Value), flag.Groups["value"].Value);
            if (field is not null)
                app[field] = field == "resourcesPath" ? Path.GetFullPath(value, directory) : field.EndsWith("Port", StringComparison.Ordinal) ? int.Parse(value, null) : value;
        }

        return app;
    }

    private static YamlMappingNode Head(string text)
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(text));
        return yaml.Documents is [{ RootNode: YamlMappingNode head }, ..] ? head : [];
    }

    /// <summary>But for what the CLI itself writes.</summary>
    private static List<string> ExpectedOf(YamlMappingNode head) =>
        head.Children.TryGetValue("expected_stdout_lines", out var lines) && lines is YamlSequenceNode list
            ? [.. list.Select(line => AppPrefix().Replace($"{line}", "")).Where(line => !WrittenByCli().IsMatch(line)).Distinct()]
            : [];

    [GeneratedRegex(@"<!--\s*STEP\n(?<head>.*?)-->\s*```\w*\n(?<script>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Step();

    [GeneratedRegex(@"(?:^\s*cd (?<cd>.+)\n)?\s*dapr run (?<flags>--.*?) -- (?<command>.+)", RegexOptions.Multiline)]
    private static partial Regex Run();

    [GeneratedRegex(@"--(?<name>[\w-]+)[ =](?<value>[^\s]+)")]
    private static partial Regex Flag();

    [GeneratedRegex(@"docker exec dapr_redis redis-cli (?<command>.+)")]
    private static partial Regex RedisCommand();

    [GeneratedRegex(@"^== APP( - [\w-]+)? == ?")]
    private static partial Regex AppPrefix();

    [GeneratedRegex("^(Started Dapr with app id|Validating config|Writing log files|Exited |✅|You're up and running)")]
    private static partial Regex WrittenByCli();
}
