using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Serialization;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>What deploy/observability asks for is what the services and the sidecars tell, and docs/observability.md explains all of it.</summary>
public sealed partial class ObservabilityTests(OrdersSystem system)
{
    private static readonly string[] Words = ["and", "or", "unless", "by", "without", "offset", "on", "ignoring", "bool", "inf", "nan"];

    /// <summary>What is not of this system: Prometheus' own, and Dapr's control plane's on a cluster.</summary>
    private static readonly string[] Others = ["up", "dapr_sentry_issuercert_expiry_timestamp"];

    private static string Folder => Path.Combine(Installation.RepositoryRoot, "deploy", "observability");

    [Fact]
    public async Task Every_metric_of_the_dashboard_and_of_the_alerts_is_one_that_the_system_tells()
    {
        var sku = await system.Shop.StockAsync(3);
        Assert.Equal("shipped", Shop.Status(await system.Shop.FinalAsync(await system.Shop.OrderAsync(sku, 1))));
        var told = await ToldAsync();
        var known = told.Concat(Declared().SelectMany(instrument => instrument.Series)).Concat(Others).ToHashSet();

        var asked = Expressions().SelectMany(MetricsIn).Distinct().ToList();

        Assert.True(asked.Count > 30, $"Only {asked.Count} metrics were found in {Folder}.");
        Assert.Empty(asked.Except(known));
        // What is declared is also what is told, under the name that is expected.
        Assert.Empty(
            new[] { "eventstore_commits_total", "eventstore_commit_duration_seconds_bucket", "eventstore_relay_lag_seconds", "eventstore_queue_size_bytes", "topics_deliveries_total", "orders_time_to_shipped_seconds_count" }
                .Except(told));
    }

    [Fact]
    public async Task Prometheus_scrapes_every_service_and_sidecar_and_has_what_the_dashboard_and_the_alerts_ask_it()
    {
        PrometheusServer.Require();
        var sku = await system.Shop.StockAsync(3);
        Assert.Equal("shipped", Shop.Status(await system.Shop.FinalAsync(await system.Shop.OrderAsync(sku, 1))));
        await using var prometheus = await PrometheusServer.StartAsync(Folder, system.PortOf);

        var up = await Until.Async(
            () => prometheus.QueryAsync("up"), answer => answer.Count == 2 * Shop.Apps.Count && answer.All(series => $"{series!["value"]![1]}" == "1"), "Prometheus to have scraped all");
        Assert.Equal(
            Shop.Apps.SelectMany(app => new[] { $"services {app}", $"sidecars {app}" }).Order(StringComparer.Ordinal),
            up.Select(series => $"{series!["metric"]!["job"]} {series["metric"]!["app"]}").Order(StringComparer.Ordinal));
        // A counter that has not counted yet is declared only.
        Assert.Empty(Expressions().SelectMany(MetricsIn).Distinct().Except(Others).Except(await prometheus.NamesAsync()).Except(Declared().SelectMany(instrument => instrument.Series)));
        await Until.Async(prometheus.RulesAsync, rules => rules.Count > 10 && rules.All(rule => $"{rule!["health"]}" == "ok"), "every alert rule to have been evaluated");
    }

    [Fact]
    public void Every_instrument_of_the_services_is_explained()
    {
        var explained = File.ReadAllText(Path.Combine(Installation.RepositoryRoot, "docs", "observability.md"));

        var declared = Declared().ToList();

        Assert.True(declared.Count > 20, $"Only {declared.Count} instruments were found.");
        Assert.All(declared, instrument => Assert.Contains($"| `{instrument.Name}` | {(instrument.Unit.StartsWith('{') ? $"`{instrument.Unit}`" : instrument.Unit)} |", explained, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("sum by (app) (rate(a_total{x=\"b_total\"}[5m])) / c_sum > 0.2", "a_total c_sum")]
    [InlineData("histogram_quantile(0.95, sum by (app, le) (rate(a_bucket[$__rate_interval])))", "a_bucket")]
    [InlineData("(a > 0) or (b unless b offset 10m)", "a b")]
    public void Metrics_are_told_from_the_other_words_of_an_expression(string expression, string metrics) =>
        Assert.Equal(metrics.Split(' '), MetricsIn(expression).Distinct());

    /// <summary>All series of all services and sidecars.</summary>
    private async Task<IReadOnlyCollection<string>> ToldAsync()
    {
        var told = new HashSet<string>();
        foreach (var app in Shop.Apps)
        {
            using var answer = await system.Shop.SendAsync(HttpMethod.Get, app, "metrics");
            answer.EnsureSuccessStatusCode();
            told.UnionWith(SeriesIn(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)));
            told.UnionWith(SeriesIn(await system.SidecarMetricsAsync(app)));
        }

        return told;
    }

    private static IEnumerable<string> SeriesIn(string exposition) => exposition.Split('\n')
        .Where(line => line.Length > 0 && line[0] != '#')
        .Select(line => line[..line.IndexOfAny(['{', ' '])]);

    /// <summary>The instruments that the services' source creates, whether or not anything has been measured yet.</summary>
    private static IEnumerable<(string Name, string Unit, IReadOnlyList<string> Series)> Declared() => Directory
        .EnumerateFiles(Path.Combine(Installation.RepositoryRoot, "services"), "*.cs", SearchOption.AllDirectories)
        .SelectMany(file => Instrument().Matches(File.ReadAllText(file)))
        .Select(match => (match.Groups["name"].Value, match.Groups["unit"].Value, SeriesOf(match.Groups["kind"].Value, match.Groups["name"].Value, match.Groups["unit"].Value)));

    private static IReadOnlyList<string> SeriesOf(string kind, string name, string unit)
    {
        var series = name.Replace('.', '_') + unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        return kind switch
        {
            "Counter" => [$"{series}_total"],
            "Histogram" => [$"{series}_bucket", $"{series}_sum", $"{series}_count"],
            _ => [series],
        };
    }

    private static IEnumerable<string> Expressions()
    {
        var rules = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(File.ReadAllText(Path.Combine(Folder, "alerts.yaml")));
        var alerts = ((List<object>)rules["groups"]).Cast<Dictionary<object, object>>().SelectMany(group => ((List<object>)group["rules"]).Cast<Dictionary<object, object>>());
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "grafana", "dashboards", "daprorders.json")));
        return
        [
            .. alerts.Select(alert => (string)alert["expr"]),
            .. dashboard.RootElement.GetProperty("panels").EnumerateArray()
                .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
                .Select(target => target.GetProperty("expr").GetString()!),
        ];
    }

    private static IEnumerable<string> MetricsIn(string expression) => Identifier()
        .Matches(LabelList().Replace(NotMetrics().Replace(expression, " "), " "))
        .Select(match => match.Value)
        .Where(word => !Words.Contains(word));

    /// <summary>Texts, selectors and ranges.</summary>
    [GeneratedRegex("\"[^\"]*\"|\\{[^}]*\\}|\\[[^\\]]*\\]")]
    private static partial Regex NotMetrics();

    [GeneratedRegex(@"\b(by|without|on|ignoring)\s*\([^)]*\)")]
    private static partial Regex LabelList();

    /// <summary>No function, no number, no duration.</summary>
    [GeneratedRegex(@"(?<![\w.$])[a-z_][a-zA-Z0-9_]*\b(?!\s*\()")]
    private static partial Regex Identifier();

    [GeneratedRegex("""Create(Observable)?(?<kind>Counter|Histogram|Gauge|UpDownCounter)(<\w+>)?\(\s*"(?<name>[^"]+)",\s*((\(\) => [^"]*?|tags: null),\s*)?"(?<unit>[^"]+)"\s*,""")]
    private static partial Regex Instrument();
}
