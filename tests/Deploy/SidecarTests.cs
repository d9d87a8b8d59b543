using System.Globalization;
using System.Text.RegularExpressions;
using k8s.Models;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.Deploy.Tests;

/// <summary>What Dapr is told of a pod by annotations. It passes over a name that it does not know, and a number that it cannot read, in silence.</summary>
public sealed partial class SidecarTests
{
    private const string True = "true";

    /// <summary>Names and kinds as dapr/dapr has them in pkg/injector/patcher/sidecar.go (1.18).</summary>
    private static readonly Dictionary<string, Func<string, bool>> Known = new(StringComparer.Ordinal)
    {
        ["dapr.io/enabled"] = IsBool,
        ["dapr.io/app-id"] = _ => true,
        ["dapr.io/app-port"] = IsNumber,
        ["dapr.io/app-protocol"] = value => value is "http" or "https" or "h2c" or "grpc" or "grpcs",
        ["dapr.io/config"] = _ => true,
        ["dapr.io/api-token-secret"] = _ => true,
        ["dapr.io/app-token-secret"] = _ => true,
        ["dapr.io/disable-builtin-k8s-secret-store"] = IsBool,
        // name:path, and more of them after a comma; read-only.
        ["dapr.io/volume-mounts"] = value => value.Split(',').All(mount => mount.Split(':') is [_, ['/', ..]]),
        ["dapr.io/enable-app-health-check"] = IsBool,
        ["dapr.io/app-health-check-path"] = value => value.StartsWith('/'),
        ["dapr.io/app-health-probe-interval"] = IsNumber,
        ["dapr.io/app-health-probe-timeout"] = IsNumber,
        ["dapr.io/app-health-threshold"] = IsNumber,
        ["dapr.io/enable-native-sidecar"] = IsBool,
        ["dapr.io/block-shutdown-duration"] = value => Seconds().IsMatch(value),
        ["dapr.io/graceful-shutdown-seconds"] = IsNumber,
        ["dapr.io/log-as-json"] = IsBool,
        ["dapr.io/enable-metrics"] = IsBool,
        ["dapr.io/metrics-port"] = IsNumber,
        ["dapr.io/sidecar-cpu-request"] = IsQuantity,
        ["dapr.io/sidecar-memory-request"] = IsQuantity,
        ["dapr.io/sidecar-memory-limit"] = IsQuantity,
        ["dapr.io/sidecar-seccomp-profile-type"] = value => value is "RuntimeDefault" or "Localhost",
    };

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Every_annotation_is_one_of_Dapr_s_with_a_value_that_it_reads(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values.SelectMany(AnnotationsOf), annotation =>
        {
            Assert.Contains(annotation.Key, Known.Keys);
            Assert.True(Known[annotation.Key](annotation.Value), $"{annotation.Key} is '{annotation.Value}'.");
        });

    [Theory]
    [MemberData(nameof(Overlays))]
    public void A_sidecar_has_its_configuration_and_tokens_and_the_service_the_same_tokens(string name)
    {
        var overlay = Overlay.Of(name);
        var secrets = SecretsScript.KeysFor(name);
        Assert.All(overlay.Applications.Values, app =>
        {
            var annotations = AnnotationsOf(app);
            Assert.Equal(True, annotations["dapr.io/enabled"]);
            Assert.Contains(annotations["dapr.io/config"], overlay.OfKind("Configuration").Select(c => Overlay.Text(c["metadata"]!["name"])));
            foreach (var (annotation, variable) in new[] { ("dapr.io/api-token-secret", "DAPR_API_TOKEN"), ("dapr.io/app-token-secret", "APP_API_TOKEN") })
            {
                // The injector asks for the key "token", whatever the secret.
                Assert.Contains((annotations[annotation], "token"), secrets);
                var told = app.Spec.Template.Spec.Containers[0].Env.Single(e => e.Name == variable).ValueFrom.SecretKeyRef;
                Assert.Equal((annotations[annotation], "token"), (told.Name, told.Key));
            }
        });
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void A_sidecar_asks_for_the_service_s_health_as_on_one_machine(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values.Select(AnnotationsOf), annotations =>
        {
            Assert.Equal((bool)RunFile.Common["enableAppHealthCheck"]!, annotations["dapr.io/enable-app-health-check"] == True);
            Assert.Equal((string)RunFile.Common["appHealthCheckPath"]!, annotations["dapr.io/app-health-check-path"]);
            Assert.Equal((int)RunFile.Common["appHealthProbeInterval"]!, Number(annotations["dapr.io/app-health-probe-interval"]));
            Assert.Equal((int)RunFile.Common["appHealthProbeTimeout"]!, Number(annotations["dapr.io/app-health-probe-timeout"]));
            Assert.Equal((int)RunFile.Common["appHealthThreshold"]!, Number(annotations["dapr.io/app-health-threshold"]));
        });

    /// <summary>Whether Kubernetes ends the sidecar after the service, or both at once: the service has all of its time, and the sidecar its own after that.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void There_is_time_for_the_service_and_then_for_its_sidecar_to_end(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values, app =>
        {
            var annotations = AnnotationsOf(app);
            var pod = app.Spec.Template.Spec;
            var service = pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds + new HostOptions().ShutdownTimeout.TotalSeconds;
            var block = Number(annotations["dapr.io/block-shutdown-duration"].TrimEnd('s'));
            var graceful = Number(annotations["dapr.io/graceful-shutdown-seconds"]);
            var untilSeen = Number(annotations["dapr.io/app-health-threshold"]) * Number(annotations["dapr.io/app-health-probe-interval"]);

            Assert.Equal(True, annotations["dapr.io/enable-native-sidecar"]);
            Assert.True(block >= service, $"The sidecar waits for {block} s, the service may take {service} s.");
            Assert.True(pod.TerminationGracePeriodSeconds > block + graceful, "Both at once");
            Assert.True(pod.TerminationGracePeriodSeconds > service + untilSeen + graceful, "One after the other");
        });

    /// <summary>SigningKeySecret waits a minute for the sidecar before the service listens.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void A_service_has_longer_to_start_than_it_waits_for_its_signing_key(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values.Select(app => app.Spec.Template.Spec.Containers[0].StartupProbe), probe =>
            Assert.True(probe.PeriodSeconds * probe.FailureThreshold > 90));

    private static IDictionary<string, string> AnnotationsOf(V1Deployment app) => app.Spec.Template.Metadata.Annotations;

    private static bool IsBool(string value) => value is True or "false";

    private static bool IsNumber(string value) => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static bool IsQuantity(string value) => new ResourceQuantity(value).ToDecimal() > 0;

    private static int Number(string value) => int.Parse(value, CultureInfo.InvariantCulture);

    [GeneratedRegex("^[0-9]+s$")]
    private static partial Regex Seconds();
}
