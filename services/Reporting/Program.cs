using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Following;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.Reporting.Updates;
using DaprOrders.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("reporting");
builder.Services.AddProjections(types => types
    .AddFamily<OrderEvent>()
    .AddFamily<ReservationEvent>()
    .AddFamily<PaymentEvent>()
    .AddFamily<ShipmentEvent>());
builder.Services.AddMemoryCache();
builder.Services.AddOptions<ReportingOptions>().BindConfiguration("Reporting");
builder.Services.AddSingleton<Wakeup>();
builder.Services.AddSingleton<ReportingMetrics>();
builder.Services.AddSingleton<ProjectionVersions>();
builder.Services.AddSingleton<LogReader>();
builder.Services.AddSingleton<Projections>();
builder.Services.AddSingleton<FollowingLogs>();
builder.Services.AddHostedService(services => services.GetRequiredService<FollowingLogs>());
builder.Services.AddSingleton<UpdateFeed>();
builder.Services.AddHostedService(services => services.GetRequiredService<UpdateFeed>());

var app = builder.Build();
app.MapServiceDefaults();
app.MapOrderLists();
app.MapUpdates();
app.MapSales();
app.MapProjections();
app.MapSources();

app.Run();
