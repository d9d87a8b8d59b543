using Dapr.Client;
using DaprOrders.Console;
using DaprOrders.Console.Calling;
using DaprOrders.Console.DeadLetters;
using DaprOrders.Console.Orders;
using DaprOrders.Console.OrderStory;
using DaprOrders.Console.Overview;
using DaprOrders.Console.ReadModels;
using DaprOrders.Console.Shell;
using DaprOrders.Console.SigningIn;
using DaprOrders.Console.Stock;
using DaprOrders.Console.Topology;
using DaprOrders.Console.TryIt;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.Health;
using Microsoft.AspNetCore.HttpOverrides;
using MudBlazor.Services;

var builder = WebApplication.CreateBuilder(args);
builder.AddProcessDefaults("console");
// Also when it is run as it was built, outside of the environment Development.
builder.WebHost.UseStaticWebAssets();
builder.Services.AddOptions<ConsoleOptions>().BindConfiguration("Console");
builder.AddSigningIn();
// Does something only behind a proxy, where ASPNETCORE_FORWARDEDHEADERS_ENABLED says that there is one: it takes the scheme, and this the host.
builder.Services.Configure<ForwardedHeadersOptions>(forwarded => forwarded.ForwardedHeaders |= ForwardedHeaders.XForwardedHost);
builder.Services.AddHttpClient(ServicesClient.Calls, http => http.Timeout = TimeSpan.FromSeconds(5)).AddHttpMessageHandler(() => new InvocationHandler());
builder.Services.AddHttpClient(ServicesClient.Acts, http => http.Timeout = ServicesClient.ActsWithin).AddHttpMessageHandler(() => new InvocationHandler());
builder.Services.AddHttpClient(ServicesClient.Updates, http => http.Timeout = Timeout.InfiniteTimeSpan).AddHttpMessageHandler(() => new InvocationHandler());
builder.Services.AddScoped<ServicesClient>();
builder.Services.AddScoped<OrderUpdates>();
builder.Services.AddScoped<OverviewReader>();
builder.Services.AddScoped<StoryReader>();
builder.Services.AddScoped<LettersReader>();
builder.Services.AddScoped<StockReader>();
builder.Services.AddScoped<ProjectionReader>();
builder.Services.AddScoped<TopologyReader>();
builder.Services.AddScoped<Trying>();
builder.Services.AddHttpContextAccessor();
builder.Services.AddCascadingAuthenticationState();
builder.Services.AddMudServices();
builder.Services.AddRazorComponents().AddInteractiveServerComponents()
    // What an island begins with comes back from the page: fifty orders are more than the 32 KB that are usual.
    .AddHubOptions(hub => hub.MaximumReceiveMessageSize = 512 * 1024);
// What is wrong with a form is its sender's mistake, in development as elsewhere.
builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = false);
builder.AddSidecarReadiness();

var app = builder.Build();
// It clears the headers, and makes its page with what comes after it.
app.UseExceptionHandler("/trouble", createScopeForErrors: true);
app.UseContentSecurity();
app.UseStatusCodePagesWithReExecute("/nothing-here");
app.UseAnswersToForms();
app.UseAuthentication();
app.UseAuthorization();
app.UseAntiforgery();
app.MapStaticAssets().AllowAnonymous();
app.MapHealth();
app.MapAppearance();
app.MapSigningIn();
app.MapRazorComponents<App>()
    .AddInteractiveServerRenderMode(server => server.ContentSecurityFrameAncestorsPolicy = null)
    .RequireAuthorization(SignIn.Policy);

app.Run();
