extern alias Reporting;
using DaprOrders.Console;
using DaprOrders.Inventory.Stock;
using DaprOrders.Ordering;
using DaprOrders.PaymentProvider;
using DaprOrders.Payments;
using DaprOrders.Shipping;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Template;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Deploy.Tests;

/// <summary>A service or the console in this process, without a sidecar: what routes it has, and whom it lets in.</summary>
internal sealed class Application : IDisposable
{
    private static readonly Dictionary<string, Func<(string, string)[], Application>> All = new(StringComparer.Ordinal)
    {
        ["ordering"] = Start<OrderingOptions>,
        ["inventory"] = Start<StockItems>,
        ["payments"] = Start<PaymentsOptions>,
        ["shipping"] = Start<ShippingOptions>,
        ["reporting"] = Start<Reporting::Program>,
        ["console"] = Start<ConsoleOptions>,
        ["payment-provider"] = Start<Ledger>,
    };

    private readonly IDisposable _host;
    private readonly IServiceProvider _services;

    private Application(IDisposable host, IServiceProvider services, HttpClient http) => (_host, _services, Http) = (host, services, http);

    public HttpClient Http { get; }

    public IEnumerable<RouteEndpoint> Endpoints => _services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>();

    public IEnumerable<string> Routes => Endpoints.Select(endpoint => "/" + endpoint.RoutePattern.RawText!.TrimStart('/'));

    public static Application Start(string app, params (string Name, string Value)[] settings) => All[app](settings);

    /// <summary>The endpoint that takes the request, and whether it lets it in.</summary>
    public async Task<(string? Route, bool IsLetIn)> AskAsync(Curl request)
    {
        var endpoint = Endpoints.Where(e => Takes(e, request)).MinBy(e => e.RoutePattern.InboundPrecedence);
        if (endpoint is null)
            return (null, false);

        var http = new DefaultHttpContext { RequestServices = _services };
        (http.Request.Method, http.Request.Path) = (request.Method, request.Address.AbsolutePath);
        foreach (var (name, value) in request.Headers)
            http.Request.Headers[name] = value;
        http.SetEndpoint(endpoint);
        var policies = _services.GetRequiredService<IAuthorizationPolicyProvider>();
        var policy = endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null
            ? await AuthorizationPolicy.CombineAsync(policies, endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>(), endpoint.Metadata.GetOrderedMetadata<AuthorizationPolicy>())
            : null;
        return (endpoint.RoutePattern.RawText, policy is null || (await _services.GetRequiredService<IAuthorizationService>().AuthorizeAsync(http.User, http, policy)).Succeeded);
    }

    public void Dispose()
    {
        Http.Dispose();
        _host.Dispose();
    }

    private static bool Takes(RouteEndpoint endpoint, Curl request) =>
        endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains(request.Method) != false
        && new TemplateMatcher(TemplateParser.Parse(endpoint.RoutePattern.RawText!), []).TryMatch(request.Address.AbsolutePath, []);

    private static Application Start<T>((string Name, string Value)[] settings)
        where T : class
    {
        // In development the secrets of whoever runs the tests would be read, and with them their signing keys.
        var host = new WebApplicationFactory<T>().WithWebHostBuilder(builder =>
        {
            builder.UseEnvironment("Production").UseSetting("Serilog:MinimumLevel:Default", "Fatal");
            foreach (var (name, value) in settings)
                builder.UseSetting(name, value);
        });
        return new Application(host, host.Services, host.CreateClient());
    }
}
