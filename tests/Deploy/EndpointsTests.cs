using System.Net;
using k8s.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Deploy.Tests;

/// <summary>What Kubernetes and Dapr ask a service for, the service has.</summary>
public sealed class EndpointsTests
{
    public static TheoryData<string> Applications => [.. RunFile.Ports.Keys];

    [Theory]
    [MemberData(nameof(Applications))]
    public void The_paths_of_probes_health_check_and_subscriptions_are_routes_of_the_service(string app)
    {
        var overlay = Overlay.Of(Overlay.Try);
        var deployment = overlay.All<V1Deployment>().Single(d => d.Metadata.Name == app);
        var container = deployment.Spec.Template.Spec.Containers[0];
        var asked = new[] { container.StartupProbe, container.LivenessProbe, container.ReadinessProbe }.Select(probe => probe.HttpGet.Path).ToList();
        if (overlay.Applications.ContainsKey(app))
        {
            asked.Add(deployment.Spec.Template.Metadata.Annotations["dapr.io/app-health-check-path"]);
            asked.AddRange(overlay.OfKind("Subscription").Where(s => s["scopes"]!.AsArray().Any(scope => Overlay.Text(scope) == app))
                .Select(s => Overlay.Text(s["spec"]!["routes"]!["default"])));
        }

        using var application = Application.Start(app);
        var routes = application.Routes.ToHashSet();

        Assert.All(asked.Distinct(), path => Assert.Contains(path, routes));
    }

    /// <summary>Whatever it shows it has by its sidecar. Kubernetes sends people to a pod that is ready, and starts one anew that is not alive.</summary>
    [Theory]
    [InlineData(HttpStatusCode.NoContent, HttpStatusCode.OK)]
    [InlineData(HttpStatusCode.InternalServerError, HttpStatusCode.ServiceUnavailable)]
    public async Task The_console_is_ready_while_its_sidecar_is_and_alive_in_any_case(HttpStatusCode sidecar, HttpStatusCode expected)
    {
        await using var played = await StartSidecarAsync(sidecar);
        using var console = Application.Start(Overlay.Console, ("DAPR_HTTP_ENDPOINT", played.Urls.Single()));

        using var ready = await console.Http.GetAsync("/healthz/ready", TestContext.Current.CancellationToken);
        using var live = await console.Http.GetAsync("/healthz/live", TestContext.Current.CancellationToken);
        using var deliveries = await console.Http.GetAsync("/healthz/deliveries", TestContext.Current.CancellationToken);

        Assert.Equal(expected, ready.StatusCode);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (live.StatusCode, deliveries.StatusCode));
    }

    private static async Task<WebApplication> StartSidecarAsync(HttpStatusCode answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        app.MapGet("/v1.0/healthz/outbound", () => Results.StatusCode((int)answer));
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }
}
