using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>Every service is deployed, listens where it is looked for, and finds what it refers to.</summary>
public sealed class ServicesTests
{
    /// <summary>Another company's: simulated only where the system is tried.</summary>
    private const string PaymentProvider = "payment-provider";

    private const string Namespace = "daprorders";

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Every_service_of_the_run_file_is_deployed_under_its_app_id(string name)
    {
        var overlay = Overlay.Of(name);
        var expected = RunFile.Ports.Keys.Where(app => app != PaymentProvider || name == Overlay.Try);

        Assert.Equal(expected.Order(StringComparer.Ordinal), overlay.All<V1Deployment>().Select(d => d.Metadata.Name).Order(StringComparer.Ordinal));
        Assert.Equal(RunFile.Ports.Keys.Except([PaymentProvider]).Order(StringComparer.Ordinal), overlay.Applications.Keys.Order(StringComparer.Ordinal));
        Assert.All(overlay.Applications, app => Assert.Equal(app.Key, app.Value.Metadata.Name));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Every_object_is_one_that_Kubernetes_Dapr_or_KEDA_knows_and_is_there_once(string name)
    {
        var overlay = Overlay.Of(name);
        int[] read =
        [
            overlay.All<V1Namespace>().Count(), overlay.All<V1ConfigMap>().Count(), overlay.All<V1ServiceAccount>().Count(), overlay.All<V1Role>().Count(),
            overlay.All<V1RoleBinding>().Count(), overlay.All<V1NetworkPolicy>().Count(), overlay.All<V1Deployment>().Count(), overlay.All<V1Service>().Count(),
            overlay.All<V1PodDisruptionBudget>().Count(), overlay.All<V2HorizontalPodAutoscaler>().Count(), overlay.All<V1StatefulSet>().Count(),
            overlay.All<V1PersistentVolumeClaim>().Count(), overlay.Dapr.Count(), ScaledObject.AllOf(overlay).Count, TriggerAuthentication.AllOf(overlay).Count,
        ];

        Assert.Equal(overlay.Objects.Count, read.Sum());
        Assert.Distinct(overlay.Objects.Select(o => $"{o["apiVersion"]} {o["kind"]} {o["metadata"]!["namespace"]}/{o["metadata"]!["name"]}"));
        Assert.All(overlay.Applications.Values, app => Assert.Equal(Namespace, app.Metadata.NamespaceProperty));
    }

    /// <summary>
    /// kubectl applies one after another. A sidecar reads Dapr's objects when it starts, and with hot reload off never again: one that is there before its
    /// subscriptions hears of nothing. KEDA asks for what the pods of a ScaledObject request, and refuses it where there are none.
    /// </summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void What_pods_read_at_their_start_is_applied_before_them_and_what_scales_them_after(string name)
    {
        var kinds = Overlay.Of(name).Objects.Select(o => Overlay.Text(o["kind"])).ToList();
        var pods = kinds.IndexOf("Deployment")..(kinds.LastIndexOf("Deployment") + 1);
        string[] before =
        [
            "Namespace", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "NetworkPolicy", "PersistentVolumeClaim", "Service", "TriggerAuthentication",
            "Configuration", "Component", "HTTPEndpoint", "Resiliency", "Subscription", "PodDisruptionBudget",
        ];

        Assert.Equal(0, kinds.LastIndexOf("Namespace") - kinds.Count(kind => kind == "Namespace") + 1);
        Assert.All(kinds[..pods.Start.Value], kind => Assert.Contains(kind, before));
        Assert.All(kinds[pods], kind => Assert.Equal("Deployment", kind));
        Assert.All(kinds[pods.End.Value..], kind => Assert.Contains(kind, new[] { "StatefulSet", "HorizontalPodAutoscaler", "ScaledObject" }));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void A_service_listens_where_its_sidecar_its_probes_and_its_clients_look_for_it(string name)
    {
        var overlay = Overlay.Of(name);
        Assert.All(overlay.All<V1Deployment>(), deployment =>
        {
            var port = RunFile.Ports[deployment.Metadata.Name];
            var app = Assert.Single(deployment.Spec.Template.Spec.Containers);
            Assert.Equal(("http", port), (Assert.Single(app.Ports).Name, app.Ports[0].ContainerPort));
            var listens = app.Env.Single(e => e.Name is "ASPNETCORE_URLS" or "Kestrel__Endpoints__Http__Url");
            Assert.Equal($"http://+:{port}", listens.Value);
            Assert.All(new[] { app.StartupProbe, app.LivenessProbe, app.ReadinessProbe }, probe => Assert.Equal("http", probe.HttpGet.Port.Value));

            var service = overlay.All<V1Service>().Single(s => s.Metadata.Name == deployment.Metadata.Name);
            Assert.Equal((port, "http"), (Assert.Single(service.Spec.Ports).Port, service.Spec.Ports[0].TargetPort.Value));
        });
        Assert.All(overlay.Applications, app =>
            Assert.Equal($"{RunFile.Ports[app.Key]}", app.Value.Spec.Template.Metadata.Annotations["dapr.io/app-port"]));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void A_selector_finds_the_pods_that_are_meant(string name)
    {
        var overlay = Overlay.Of(name);
        var pods = overlay.Pods;

        Assert.All(overlay.All<V1Deployment>(), d => Assert.Equal([d.Metadata.Name], Selected(d.Spec.Selector.MatchLabels)));
        Assert.All(overlay.All<V1StatefulSet>(), s => Assert.Equal([s.Metadata.Name], Selected(s.Spec.Selector.MatchLabels)));
        Assert.All(overlay.All<V1Service>(), s => Assert.Equal([s.Metadata.Name], Selected(s.Spec.Selector)));
        Assert.All(overlay.All<V1PodDisruptionBudget>(), p => Assert.Equal([p.Metadata.Name], Selected(p.Spec.Selector.MatchLabels)));
        Assert.All(overlay.All<V1NetworkPolicy>(), p => Assert.NotEmpty(Selected(p.Spec.PodSelector.MatchLabels)));
        Assert.All(overlay.Applications.Values, app => Assert.Single(overlay.All<V1PodDisruptionBudget>(), p => p.Metadata.Name == app.Metadata.Name));
        Assert.All(overlay.Applications.Values.SelectMany(app => app.Spec.Template.Spec.TopologySpreadConstraints), spread =>
            Assert.Superset(overlay.Applications.Keys.ToHashSet(), Selected(spread.LabelSelector.MatchLabels).ToHashSet()));

        IEnumerable<string> Selected(IDictionary<string, string>? labels) =>
            pods.Where(pod => labels?.All(label => pod.Value.Metadata.Labels.TryGetValue(label.Key, out var value) && value == label.Value) != false).Select(pod => pod.Key);
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Whatever_a_pod_names_is_there(string name)
    {
        var overlay = Overlay.Of(name);
        var secrets = SecretsScript.KeysFor(name);
        Assert.All(overlay.All<V1Deployment>(), deployment =>
        {
            var pod = deployment.Spec.Template.Spec;
            Assert.Contains(pod.ServiceAccountName, overlay.All<V1ServiceAccount>().Select(a => a.Metadata.Name));
            Assert.All(pod.Containers.SelectMany(c => c.VolumeMounts), mount => Assert.Contains(mount.Name, pod.Volumes.Select(v => v.Name)));
            Assert.All(pod.Volumes.Where(v => v.PersistentVolumeClaim is not null), v =>
                Assert.Contains(v.PersistentVolumeClaim.ClaimName, overlay.All<V1PersistentVolumeClaim>().Select(c => c.Metadata.Name)));
            Assert.All(pod.Containers.SelectMany(c => c.EnvFrom ?? []), from =>
                Assert.Contains(from.ConfigMapRef.Name, overlay.All<V1ConfigMap>().Select(c => c.Metadata.Name)));
        });
        Assert.All(overlay.All<V1Deployment>().Select(d => d.Spec.Template).Concat(overlay.All<V1StatefulSet>().Select(s => s.Spec.Template)), pod =>
            Assert.All(pod.Spec.Containers.SelectMany(c => c.Env).Select(e => e.ValueFrom?.SecretKeyRef).OfType<V1SecretKeySelector>(), secret =>
                Assert.Contains((secret.Name, secret.Key), secrets)));
    }

    /// <summary>The account of a pod may read just what its sidecar and its service ask the secret store for; the console asks for nothing.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void Sidecars_may_read_each_secret_that_a_component_or_a_service_asks_for_and_list_none(string name)
    {
        var overlay = Overlay.Of(name);
        var rule = Assert.Single(Assert.Single(overlay.All<V1Role>()).Rules);
        var binding = Assert.Single(overlay.All<V1RoleBinding>());
        var secrets = SecretsScript.KeysFor(name);
        var asked = Components.SecretsOf(overlay).ToList();

        Assert.Equal(["get"], rule.Verbs);
        Assert.Equal(["secrets"], rule.Resources);
        Assert.All(asked, secret => Assert.Contains(secret, secrets));
        Assert.Superset(asked.Select(secret => secret.Name).Append(SigningKey(overlay)).ToHashSet(), rule.ResourceNames.ToHashSet());
        Assert.DoesNotContain("dapr-api-token", rule.ResourceNames);
        Assert.Single(secrets, secret => secret.Name == SigningKey(overlay));
        Assert.Equal(overlay.All<V1Role>().Single().Metadata.Name, binding.RoleRef.Name);
        Assert.Equal(
            overlay.Applications.Where(app => app.Key != Overlay.Console).Select(app => (Namespace, app.Value.Spec.Template.Spec.ServiceAccountName)).Order(),
            binding.Subjects.Select(subject => (subject.NamespaceProperty, subject.Name)).Order());
    }

    /// <summary>{store}/{secret}, of a store that is among the components.</summary>
    private static string SigningKey(Overlay overlay)
    {
        var settings = overlay.Applications.Select(app => (App: app.Key, app.Value.Spec.Template.Spec.Containers[0].Env.SingleOrDefault(e => e.Name == "EVENTS_SIGNING_KEY_SECRET")?.Value)).ToLookup(app => app.Value, app => app.App);
        // It reads no events, and its sidecar has no secret store.
        Assert.Equal([Overlay.Console], settings[null]);
        var parts = Assert.Single(settings, of => of.Key is not null).Key!.Split('/');
        Assert.Contains(parts[0], overlay.OfKind("Component").Select(c => Overlay.Text(c["metadata"]!["name"])));
        return parts[1];
    }
}
