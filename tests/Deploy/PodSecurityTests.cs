using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>
/// The restricted Pod Security Standard, rule by rule (kubernetes.io/docs/concepts/security/pod-security-standards), and two things beyond it:
/// nothing is written into the image, and only sidecars have a token of the API server.
/// </summary>
public sealed class PodSecurityTests
{
    private static readonly string[] VolumeKinds = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Every_pod_passes_the_restricted_standard(string name)
    {
        var overlay = Overlay.Of(name);
        Assert.All(overlay.Pods.Values.Select(pod => pod.Spec), pod =>
        {
            Assert.False(pod.HostNetwork ?? false);
            Assert.False(pod.HostPID ?? false);
            Assert.False(pod.HostIPC ?? false);
            Assert.Empty(pod.SecurityContext.Sysctls ?? []);
            Assert.Equal("RuntimeDefault", pod.SecurityContext.SeccompProfile.Type);
            Assert.Null(pod.SecurityContext.AppArmorProfile);
            Assert.Null(pod.SecurityContext.SeLinuxOptions);
            Assert.True(pod.SecurityContext.RunAsNonRoot);
            Assert.Empty(pod.InitContainers ?? []);
            Assert.All(pod.Volumes ?? [], volume => Assert.Contains(KindOf(volume), VolumeKinds));
            Assert.All(pod.Containers, container =>
            {
                Assert.All(container.Ports, port => Assert.Null(port.HostPort));
                var security = container.SecurityContext;
                Assert.False(security.Privileged ?? false);
                Assert.False(security.AllowPrivilegeEscalation);
                Assert.Null(security.ProcMount);
                Assert.Null(security.SeccompProfile);
                Assert.Null(security.SeLinuxOptions);
                Assert.NotEqual(false, security.RunAsNonRoot);
                Assert.NotEqual(0, security.RunAsUser);
                Assert.Equal(["ALL"], security.Capabilities.Drop);
                Assert.Empty(security.Capabilities.Add ?? []);
                Assert.True(security.ReadOnlyRootFilesystem);
            });
        });
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Every_namespace_enforces_it(string name) =>
        Assert.All(Overlay.Of(name).All<V1Namespace>(), space => Assert.Equal("restricted", space.Metadata.Labels["pod-security.kubernetes.io/enforce"]));

    /// <summary>The injected container takes its profile from the pod or the annotation; the capabilities are Dapr's installation's (docs/deploy.md).</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void Sidecars_are_asked_for_with_a_seccomp_profile(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values, app => Assert.Equal("RuntimeDefault", app.Spec.Template.Metadata.Annotations["dapr.io/sidecar-seccomp-profile-type"]));

    /// <summary>What takes over a service must not be its account: that one reads the secrets of all components.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void No_container_of_ours_has_a_token_of_the_API_server(string name) =>
        Assert.All(Overlay.Of(name).Pods.Values.Select(pod => pod.Spec), pod =>
        {
            Assert.False(pod.AutomountServiceAccountToken);
            var withToken = (pod.Volumes ?? []).Where(volume => volume.Projected?.Sources.Any(source => source.ServiceAccountToken is not null) == true).Select(volume => volume.Name);
            Assert.Empty(pod.Containers.SelectMany(container => container.VolumeMounts).Select(mount => mount.Name).Intersect(withToken));
        });

    /// <summary>The injector mounts into the sidecar what the annotation names, where client-go looks for it; a name that the pod has not is passed over in silence.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void A_sidecar_has_its_account_where_it_looks_for_it(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values.Select(app => app.Spec.Template), pod =>
        {
            var mount = pod.Metadata.Annotations["dapr.io/volume-mounts"].Split(':');
            var sources = pod.Spec.Volumes.Single(volume => volume.Name == mount[0]).Projected.Sources;

            Assert.Equal("/var/run/secrets/kubernetes.io/serviceaccount", mount[1]);
            Assert.Equal("token", sources.Select(source => source.ServiceAccountToken).Single(token => token is not null).Path);
            Assert.Equal(
                [("kube-root-ca.crt", "ca.crt", "ca.crt")],
                sources.Where(source => source.ConfigMap is not null).SelectMany(source => source.ConfigMap.Items.Select(item => (source.ConfigMap.Name, item.Key, item.Path))));
            Assert.Equal([("namespace", "metadata.namespace")], sources.SelectMany(source => source.DownwardAPI?.Items ?? []).Select(item => (item.Path, item.FieldRef.FieldPath)));
        });

    /// <summary>The services' network is closed but for what is listed.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void Who_is_not_named_by_a_policy_reaches_nobody(string name)
    {
        var closed = Overlay.Of(name).All<V1NetworkPolicy>().Single(policy => policy.Metadata.Name == "nobody");

        Assert.Null(closed.Spec.PodSelector.MatchLabels);
        Assert.Equal(["Ingress", "Egress"], closed.Spec.PolicyTypes);
        Assert.Null(closed.Spec.Ingress);
        Assert.Null(closed.Spec.Egress);
    }

    private static string KindOf(V1Volume volume) => volume switch
    {
        { EmptyDir: not null } => "emptyDir",
        { PersistentVolumeClaim: not null } => "persistentVolumeClaim",
        { ConfigMap: not null } => "configMap",
        { Secret: not null } => "secret",
        { Projected: not null } => "projected",
        _ => $"the kind of {volume.Name}",
    };
}
