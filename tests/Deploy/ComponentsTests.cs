using System.Text.Json.Nodes;
using DaprOrders.Deploy.Tests.Kustomize;
using DaprOrders.Sidecar.Launcher;
using EmbeddedSidecar;

namespace DaprOrders.Deploy.Tests;

/// <summary>The components of a cluster are those that were tried on one machine, but for what is listed here.</summary>
public sealed class ComponentsTests
{
    /// <summary>The folder of components/ for each broker and store, and the fields that a cluster has otherwise.</summary>
    private static readonly Dictionary<(string Component, string Type), (string Folder, string[] Differs)> Differences = new()
    {
        [("pubsub", "pubsub.redis")] = ("redis", ["redisHost", "redisPassword"]),
        [("statestore", "state.redis")] = ("redis", ["redisHost", "redisPassword"]),
        [("pubsub", "pubsub.rabbitmq")] = ("rabbitmq", ["connectionString"]),
        [("pubsub", "pubsub.kafka")] = ("kafka", ["brokers", "authType", "saslMechanism", "saslUsername", "saslPassword", "caCert"]),
        [("pubsub", "pubsub.jetstream")] = ("nats", ["natsURL"]),
        [("statestore", "state.postgresql")] = ("rabbitmq", ["connectionString"]),
    };

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Broker_and_store_are_those_of_components_but_for_addresses_and_passwords(string name)
    {
        var deployed = Overlay.Of(name).OfKind("Component").Where(c => NameOf(c) != "secretstore").ToList();

        Assert.Equal(["pubsub", "statestore"], deployed.Select(NameOf).Order(StringComparer.Ordinal));
        Assert.All(deployed, component =>
        {
            var type = Overlay.Text(component["spec"]!["type"]);
            var (folder, differs) = Differences[(NameOf(component), type)];
            var tried = YamlNodes.Read(RepositoryFiles.PathOf("components", folder, $"{NameOf(component)}.yaml")).Single();

            Assert.Equal(Overlay.Text(tried["spec"]!["type"]), type);
            Assert.Equal(Overlay.Text(tried["spec"]!["version"]), Overlay.Text(component["spec"]!["version"]));
            Assert.Equal(Same(tried), Same(component));
            Assert.All(differs, field => Assert.Contains(field, Components.FieldsOf(component).Keys));

            IEnumerable<KeyValuePair<string, string>> Same(JsonObject c) => Components.FieldsOf(c).Where(field => !differs.Contains(field.Key)).OrderBy(field => field.Key, StringComparer.Ordinal);
        });
    }

    [Theory]
    [InlineData("resiliency.yaml")]
    [InlineData("subscriptions.yaml")]
    public void Subscriptions_and_retries_are_those_of_components(string file)
    {
        var tried = YamlNodes.Read(RepositoryFiles.PathOf("components", "common", file));
        var deployed = YamlNodes.Read(Overlay.PathOf("base", file));

        Assert.Equal(tried.Select(o => o.ToJsonString()), deployed.Select(o => o.ToJsonString()));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void The_payment_company_is_another_address_of_the_same_endpoint(string name)
    {
        var tried = YamlNodes.Read(RepositoryFiles.PathOf("components", "common", "payment-provider.yaml")).Single();
        var deployed = (JsonObject)Overlay.Of(name).OfKind("HTTPEndpoint").Single().DeepClone();
        var address = new Uri(Overlay.Text(deployed["spec"]!["baseUrl"]));

        Assert.Equal(name == Overlay.Try ? "http://payment-provider:5199/" : "https://payments.example.com/", address.AbsoluteUri);
        deployed["spec"]!["baseUrl"] = tried["spec"]!["baseUrl"]!.DeepClone();
        deployed["metadata"]!.AsObject().Remove("namespace");
        Assert.Equal(tried.ToJsonString(), deployed.ToJsonString());
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Who_may_call_what_is_the_table_of_deploy_in_this_namespace(string name)
    {
        var overlay = Overlay.Of(name);
        var deployed = Assert.Single(overlay.OfKind("Configuration"));
        var table = YamlNodes.Read(RepositoryFiles.PathOf("deploy", "access-control.yaml")).Single();
        foreach (var policy in table["spec"]!["accessControl"]!["policies"]!.AsArray())
            policy!["namespace"] = Overlay.Text(deployed["metadata"]!["namespace"]);
        var secrets = deployed["spec"]!["secrets"]!["scopes"]!.AsArray();
        deployed["spec"]!.AsObject().Remove("secrets");
        Assert.Equal("""[{"name":"HotReload","enabled":false}]""", deployed["spec"]!["features"]!.ToJsonString());
        deployed["spec"]!.AsObject().Remove("features");
        // On Kubernetes mTLS is the control plane's; Dapr's CRD refuses an mtls that does not name its sentry.
        table["spec"]!.AsObject().Remove("mtls");

        Assert.Equal(table["spec"]!.ToJsonString(), deployed["spec"]!.ToJsonString());
        Assert.All(secrets, scope => Assert.Equal("deny", Overlay.Text(scope!["defaultAccess"])));
        Assert.Equal(["kubernetes", "secretstore"], secrets.Select(scope => Overlay.Text(scope!["storeName"])).Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Scopes_name_applications_and_secrets_come_from_the_secret_store(string name)
    {
        var overlay = Overlay.Of(name);
        Assert.All(overlay.Dapr.Where(o => o["scopes"] is not null), o =>
            Assert.Subset(overlay.Applications.Keys.ToHashSet(), o["scopes"]!.AsArray().Select(Overlay.Text).ToHashSet()));
        Assert.All(overlay.OfKind("Component"), component => Assert.NotNull(component["scopes"]));
        Assert.All(overlay.OfKind("Component").Where(c => c.ToJsonString().Contains("secretKeyRef", StringComparison.Ordinal)), component =>
            Assert.Equal("secretstore", Overlay.Text(component["auth"]!["secretStore"])));
    }

    /// <summary>
    /// As <c>dotnet run --project sidecar -- --strict</c> reads them: a field that Dapr would pass over is a mistake. Kubernetes' secret store alone is
    /// not the embedded sidecar's: a file takes its place.
    /// </summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void The_embedded_sidecar_takes_every_component_and_passes_over_nothing(string name)
    {
        var overlay = Overlay.Of(name);

        var plan = PlanFor(overlay);

        Assert.Equal(overlay.Applications.Count, plan.Sidecars.Count);
        Assert.Empty(plan.Warnings);
    }

    [Fact]
    public void A_field_that_Dapr_would_pass_over_is_found()
    {
        var overlay = Overlay.Of("redis");
        var broker = overlay.OfKind("Component").Single(c => NameOf(c) == "pubsub");
        broker["spec"]!["metadata"]!.AsArray().Add(new JsonObject { ["name"] = "redisHosts", ["value"] = "elsewhere:6379" });

        Assert.Contains("redisHosts", Assert.Throws<ResourceException>(() => PlanFor(overlay)).Message, StringComparison.Ordinal);
    }

    private static LaunchPlan PlanFor(Overlay overlay)
    {
        var folder = Directory.CreateTempSubdirectory("overlay-");
        try
        {
            // A file for each: of several documents in one Dapr reads but some.
            var resources = folder.CreateSubdirectory("resources");
            foreach (var resource in overlay.Dapr.Where(o => Overlay.Text(o["kind"]) != "Configuration"))
            {
                File.WriteAllText(
                    Path.Combine(resources.FullName, $"{resource["kind"]}.{NameOf(resource)}.yaml"),
                    (NameOf(resource) == "secretstore" ? SecretsInAFile(folder) : resource).ToJsonString());
            }

            File.WriteAllText(Path.Combine(folder.FullName, "dapr.yaml"), RunFileFor(overlay));
            return LaunchPlan.Read(new LaunchOptions { RunFile = Path.Combine(folder.FullName, "dapr.yaml"), Strict = true });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string NameOf(JsonObject o) => Overlay.Text(o["metadata"]!["name"]);

    private static JsonObject SecretsInAFile(DirectoryInfo folder)
    {
        var file = Path.Combine(folder.FullName, "secrets.json");
        File.WriteAllText(file, "{}");
        return new JsonObject
        {
            ["apiVersion"] = "dapr.io/v1alpha1",
            ["kind"] = "Component",
            ["metadata"] = new JsonObject { ["name"] = "secretstore" },
            ["spec"] = new JsonObject
            {
                ["type"] = "secretstores.local.file",
                ["version"] = "v1",
                ["metadata"] = new JsonArray(new JsonObject { ["name"] = "secretsFile", ["value"] = file }, new JsonObject { ["name"] = "multiValued", ["value"] = "true" }),
            },
        };
    }

    private static string RunFileFor(Overlay overlay) => $"""
        version: 1
        apps:
        {string.Join('\n', overlay.Applications.Keys.Select(app => $"  - {{ appID: {app}, appDirPath: ., appPort: {RunFile.Ports[app]}, resourcesPaths: [resources], command: [dotnet, app.dll] }}"))}
        """;
}
