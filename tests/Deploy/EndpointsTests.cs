extern alias Reporting;
using DaprOrders.Console;
using DaprOrders.Inventory.Stock;
using DaprOrders.Ordering;
using DaprOrders.PaymentProvider;
using DaprOrders.Payments;
using DaprOrders.Shipping;
using k8s.Models;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Deploy.Tests;

/// <summary>What Kubernetes and Dapr ask a service for, the service has.</summary>
public sealed class EndpointsTests
{
    /// <summary>The routes of each application, from the service itself.</summary>
    private static readonly Dictionary<string, Func<HashSet<string>>> Routes = new(StringComparer.Ordinal)
    {
        ["ordering"] = RoutesOf<OrderingOptions>,
        ["inventory"] = RoutesOf<StockItems>,
        ["payments"] = RoutesOf<PaymentsOptions>,
        ["shipping"] = RoutesOf<ShippingOptions>,
        ["reporting"] = RoutesOf<Reporting::Program>,
        ["console"] = RoutesOf<ConsoleOptions>,
        ["payment-provider"] = RoutesOf<Ledger>,
    };

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

        var routes = Routes[app]();

        Assert.All(asked.Distinct(), path => Assert.Contains(path, routes));
    }

    private static HashSet<string> RoutesOf<T>()
        where T : class
    {
        // In development the secrets of whoever runs the tests would be read, and with them their signing keys.
        using var host = new WebApplicationFactory<T>().WithWebHostBuilder(builder => builder.UseEnvironment("Production").UseSetting("Serilog:MinimumLevel:Default", "Fatal"));
        return [.. host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().Select(endpoint => "/" + endpoint.RoutePattern.RawText!.TrimStart('/'))];
    }
}
