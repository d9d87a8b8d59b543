using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Inventory.ReceivingStock;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.ServiceDefaults.Errors;
using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>The commands of docs/deploy.md, as far as they can be held to what they name without a cluster.</summary>
public sealed partial class DeployPageTests
{
    private static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    private static readonly string Page = File.ReadAllText(RepositoryFiles.PathOf("docs", "deploy.md")).ReplaceLineEndings("\n");

    private static readonly string[][] Blocks = [.. Block().Matches(Page).Select(block => block.Groups[1].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries))];

    private static readonly string[] Cluster = Blocks[0];

    private static readonly string[] Commands = Blocks[1];

    private static readonly string All = string.Join('\n', Commands);

    private const string DropCapabilities = "dapr_sidecar_injector.sidecarDropALLCapabilities=true";

    private const string Namespace = "daprorders";

    /// <summary>Of Dapr, for more than a try.</summary>
    private static string Installation => string.Concat(Blocks.Single(block => block[0].StartsWith("dapr init", StringComparison.Ordinal)).Select(line => line.TrimEnd('\\')));

    /// <summary>Each in a line of its own: none is hidden behind another.</summary>
    [Fact]
    public void From_a_cluster_with_Dapr_the_first_order_is_shipped_within_ten_commands()
    {
        Assert.InRange(Commands.Length, 1, 10);
        Assert.All(Commands.Where(command => !Loop().IsMatch(command)), command => Assert.DoesNotMatch("&&|;", command));
    }

    [Fact]
    public void A_cluster_has_the_name_under_which_it_gets_its_images() =>
        Assert.Equal(NameOf(Cluster.Single(command => command.StartsWith("kind create", StringComparison.Ordinal))), NameOf(Commands.Single(command => command.StartsWith("kind load", StringComparison.Ordinal))));

    /// <summary>Which refer to namespaces and secrets that are there, and to images that are loaded.</summary>
    [Fact]
    public void What_is_applied_comes_after_what_it_refers_to()
    {
        string[] order = ["dotnet msbuild deploy/images.proj", "kind load", "deploy/k8s/secrets.sh try | kubectl apply", "kubectl apply -k deploy/k8s/try", "kubectl -n daprorders wait", "for service in", "curl"];

        Assert.Equal(order.Select(IndexOf).Order(), order.Select(IndexOf));

        static int IndexOf(string start)
        {
            var index = Array.FindIndex(Commands, command => command.StartsWith(start, StringComparison.Ordinal));
            Assert.True(index >= 0, $"No command starts with {start}.");
            return index;
        }
    }

    [Fact]
    public void What_a_command_names_in_this_repository_is_there() =>
        Assert.All(Commands.SelectMany(command => command.Split(' ')).Where(word => word.StartsWith("deploy/", StringComparison.Ordinal)), word =>
            Assert.True(Path.Exists(RepositoryFiles.PathOf(word.Split('/'))), $"{word} does not exist."));

    [Fact]
    public void The_cluster_gets_the_image_of_every_service()
    {
        var loaded = Commands.Single(command => command.StartsWith("kind load", StringComparison.Ordinal)).Split(' ').Where(word => word.StartsWith("daprorders/", StringComparison.Ordinal));

        Assert.Equal(Overlay.Of(Overlay.Try).All<V1Deployment>().Select(d => d.Spec.Template.Spec.Containers[0].Image).Order(StringComparer.Ordinal), loaded.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Dapr_is_installed_so_that_its_sidecars_pass_the_restricted_standard() =>
        Assert.Contains(DropCapabilities, SettingsOf(Cluster.Single(command => command.StartsWith("dapr init", StringComparison.Ordinal))));

    /// <summary>
    /// By default one replica of each part of it, and a pod that it does not see is let in without a sidecar, for good. With Fail no pod that the webhook is
    /// asked about is let in while nobody answers: so it is asked about these alone, and not about its own.
    /// </summary>
    [Fact]
    public void For_more_than_a_try_it_survives_a_node_and_lets_no_pod_in_without_a_sidecar()
    {
        Assert.Contains("--enable-ha=true", Installation, StringComparison.Ordinal);
        Assert.Equal(
            [DropCapabilities, "dapr_sidecar_injector.webhookFailurePolicy=Fail", $@"dapr_sidecar_injector.namespaceSelector.matchLabels.kubernetes\.io/metadata\.name={Namespace}"],
            SettingsOf(Installation));
        Assert.Equal(Namespace, Overlay.Of("redis").All<V1Namespace>().Single().Metadata.Name);
    }

    /// <summary><c>dapr upgrade</c> forgets what it is not told again (ResetValues in dapr/cli, pkg/kubernetes/upgrade.go), but for the replicas.</summary>
    [Fact]
    public void Dapr_is_upgraded_with_the_settings_that_it_was_installed_with()
    {
        var upgrade = File.ReadAllText(RepositoryFiles.PathOf("docs", "upgrades.md")).ReplaceLineEndings("\n").Replace("\\\n", "", StringComparison.Ordinal)
            .Split('\n').Single(line => line.StartsWith("dapr upgrade", StringComparison.Ordinal));

        Assert.Contains("--runtime-version", upgrade, StringComparison.Ordinal);
        Assert.Equal(SettingsOf(Installation), SettingsOf(upgrade));
    }

    /// <summary>Those of what it refers to count for nothing.</summary>
    [Fact]
    public void An_overlay_of_ones_own_has_the_order_of_those_here()
    {
        var order = SortOptions().Match(Page).Value.Split('\n').Select(line => line.Trim()).ToList();

        Assert.Equal(5, order.Count);
        Assert.All(Overlay.Names, name => Assert.Equal(
            order, SortOptions().Match(File.ReadAllText(Path.Combine(Overlay.FolderOf(name), "kustomization.yaml")).ReplaceLineEndings("\n")).Value.Split('\n').Select(line => line.Trim())));
    }

    /// <summary>Each by the service behind its port: whether somebody takes it, and lets in whoever is nobody.</summary>
    [Fact]
    public async Task What_is_called_is_a_route_of_the_service()
    {
        var calls = Commands.SelectMany(Curl.In).ToList();

        Assert.Equal(4, calls.Count);
        foreach (var call in calls)
        {
            using var service = Application.Start(RunFile.Ports.Single(port => port.Value == call.Address.Port).Key, ("APP_API_TOKEN", "a token"), ("Auth:Mode", "none"));
            var (route, isLetIn) = await service.AskAsync(call);
            Assert.True(route is not null && isLetIn, $"{call.Method} {call.Address}: {route}");
        }
    }

    /// <summary>By what Reporting itself calls the statuses that its answers have.</summary>
    [Fact]
    public async Task The_loop_that_waits_for_the_order_looks_for_a_status_and_ends_without_it()
    {
        using var reporting = Application.Start("reporting", ("Auth:Mode", "none"));
        using var refused = await reporting.Http.GetAsync("/orders?status=nonsense", TestContext.Current.CancellationToken);
        var statuses = Regex.Match(await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), "Expected one of ([A-Za-z, ]+), or").Groups[1].Value.Split(", ");

        Assert.Contains(Grep().Match(Commands[^1]).Groups[1].Value, statuses);
        Assert.Matches(@"^for try in \{1\.\.[0-9]+\}; do .* && break; sleep [0-9]+; done$", Commands[^1]);
    }

    [Fact]
    public void Ports_are_forwarded_to_services_that_have_them_and_only_those_are_called()
    {
        var services = Overlay.Of(Overlay.Try).All<V1Service>().ToDictionary(s => s.Metadata.Name, s => s.Spec.Ports.Single().Port, StringComparer.Ordinal);
        var forwarded = Forward().Matches(Commands.Single(c => c.Contains("port-forward", StringComparison.Ordinal))).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value);

        Assert.All(forwarded, forward => Assert.Equal($"{services[forward.Key]}", forward.Value));
        Assert.Subset(forwarded.Values.ToHashSet(), Called().Matches(All).Select(m => m.Groups[1].Value).ToHashSet());
    }

    [Fact]
    public void What_is_sent_is_what_the_services_read()
    {
        var bodies = Body().Matches(All).Select(m => m.Groups[1].Value).ToList();
        var product = JsonSerializer.Deserialize<ProductRequest>(bodies[0], Strict)!;
        var receipt = JsonSerializer.Deserialize<ReceiptRequest>(bodies[1], Strict)!;
        var order = WantedOrder.Read(JsonSerializer.Deserialize<PlaceOrderRequest>(bodies[2], Strict)!, new FieldErrors());

        Assert.Equal(3, bodies.Count);
        Assert.True(product.Price.Amount > 0);
        Assert.NotNull(order);
        Assert.InRange(order.Lines.Single().Quantity, 1, receipt.Quantity);
        Assert.Contains($"/products/{order.Lines.Single().Sku} ", All, StringComparison.Ordinal);
        Assert.Contains($"/customers/{order.CustomerId}/orders ", Commands[^1], StringComparison.Ordinal);
    }

    /// <summary>With KEDA or without.</summary>
    [Fact]
    public void Every_overlay_of_the_page_is_there()
    {
        var page = File.ReadAllText(RepositoryFiles.PathOf("docs", "deploy.md"));

        Assert.All(Overlay.Names.Except([Overlay.Try]).Select(SecretsScript.ArgumentFor), overlay => Assert.Contains($"| `{overlay}` |", page, StringComparison.Ordinal));
    }

    private static List<string> SettingsOf(string command) => [.. Set().Matches(command).Select(set => set.Groups[1].Value)];

    private static string NameOf(string command) => Name().Match(command).Groups[1].Value;

    [GeneratedRegex("```sh needs-cluster\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex("^for .*; do .* done$")]
    private static partial Regex Loop();

    [GeneratedRegex("--set '?([^ ']+)")]
    private static partial Regex Set();

    [GeneratedRegex("sortOptions:\n *order: .*\n *legacySortOptions:\n *orderFirst: .*\n *orderLast: .*")]
    private static partial Regex SortOptions();

    [GeneratedRegex("grep '\"([a-z]+)\"'")]
    private static partial Regex Grep();

    [GeneratedRegex("--name ([a-z]+)")]
    private static partial Regex Name();

    [GeneratedRegex("([a-z-]+):([0-9]{4})")]
    private static partial Regex Forward();

    [GeneratedRegex("localhost:([0-9]+)/")]
    private static partial Regex Called();

    [GeneratedRegex("--json '([^']*)'")]
    private static partial Regex Body();
}
