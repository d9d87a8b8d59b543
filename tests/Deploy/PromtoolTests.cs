using System.Text.Json;
using System.Text.Json.Nodes;
using DaprOrders.Deploy.Tests.Kustomize;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Deploy.Tests;

/// <summary>deploy/observability as Prometheus itself reads it: what it does not take, and alerts that do not come when they should, or come of a healthy system.</summary>
public sealed class PromtoolTests : IDisposable
{
    private const string Cases = "alerts.test.yaml";

    /// <summary>As docs/observability.md has it.</summary>
    private static readonly string[] Command = "promtool test rules tests/Deploy/alerts.test.yaml".Split(' ');

    private static readonly string? Promtool = ServerProgram.Find(Command[0]);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("daprorders-promtool-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_alert_rules_are_rules() => await CheckAsync("check", "rules", Shipped("alerts.yaml"));

    [Theory]
    [InlineData("prometheus.yaml")]
    [InlineData("prometheus-kubernetes.yaml")]
    public async Task A_configuration_is_one_with_all_that_it_names(string file)
    {
        var token = Temporary("token", "not a token");
        var config = YamlNodes.Read(Shipped(file)).Single();
        foreach (var job in config["scrape_configs"]!.AsArray())
        {
            if (job!["authorization"] is { } authorization)
                authorization["credentials_file"] = token;
            // Debian's Prometheus is built without it.
            ((JsonObject)job).Remove("kubernetes_sd_configs");
        }

        File.Copy(Shipped("alerts.yaml"), Path.Combine(_folder.FullName, "alerts.yaml"));

        await CheckAsync("check", "config", Temporary("prometheus.yaml", config.ToJsonString()));
    }

    [Fact]
    public async Task Every_expression_of_the_dashboard_is_one()
    {
        using var dashboard = JsonDocument.Parse(await File.ReadAllTextAsync(Shipped("grafana", "dashboards", "daprorders.json"), Cancellation));
        var expressions = dashboard.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
            .Select(target => target.GetProperty("expr").GetString()!.Replace("$__rate_interval", "1m", StringComparison.Ordinal))
            .ToList();
        Assert.NotEmpty(expressions);
        var rules = expressions.Select((expression, number) => new { record = $"panel:{number}", expr = expression });

        await CheckAsync("check", "rules", Temporary("dashboard.yaml", JsonSerializer.Serialize(new { groups = new[] { new { name = "dashboard", rules } } })));
    }

    [Fact]
    public async Task Every_alert_comes_with_its_series_and_in_its_time_and_none_of_a_system_that_is_well() =>
        await CheckAsync([.. Command[1..^1], RepositoryFiles.PathOf(Command[^1].Split('/'))]);

    [Fact]
    public void Every_alert_has_a_case_in_which_it_comes_and_one_in_which_it_does_not()
    {
        var alerts = YamlNodes.Read(Shipped("alerts.yaml")).Single()["groups"]!.AsArray()
            .SelectMany(group => group!["rules"]!.AsArray()).Select(rule => Overlay.Text(rule!["alert"])).Order(StringComparer.Ordinal).ToList();
        var cases = YamlNodes.Read(RepositoryFiles.PathOf("tests", "Deploy", Cases)).Single()["tests"]!.AsArray()
            .SelectMany(test => test!["alert_rule_test"]!.AsArray()).ToLookup(expected => expected!["exp_alerts"] is not null, expected => Overlay.Text(expected!["alertname"]));

        Assert.Equal(alerts, cases[true].Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(alerts, cases[false].Distinct().Order(StringComparer.Ordinal));
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static string Shipped(params string[] parts) => RepositoryFiles.PathOf(["deploy", "observability", .. parts]);

    private static async Task CheckAsync(params string[] arguments)
    {
        ServerProgram.Require(Promtool is null ? "promtool is not installed (on Debian: apt-get install prometheus)" : null);
        await ServerProgram.RunAsync(Promtool!, arguments, Cancellation);
    }

    private string Temporary(string name, string content)
    {
        var file = Path.Combine(_folder.FullName, name);
        File.WriteAllText(file, content);
        return file;
    }
}
