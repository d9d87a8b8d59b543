using Dapr.Client;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Payments;
using DaprOrders.Payments.FollowingOrders;
using DaprOrders.Payments.Payments;
using DaprOrders.Payments.Provider;
using DaprOrders.Payments.SettlingPayments;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Topics;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("payments");
builder.Services.AddEventStore(types => types.AddFamily<PaymentEvent>().AddFamily<OrderEvent>().AddFamily<UnsettledEvent>());
builder.Services.AddOptions<PaymentsOptions>().BindConfiguration("Payments").ValidateDataAnnotations().ValidateOnStart();
builder.Services.AddSingleton(services => services.GetRequiredService<DaprClient>().CreateInvokableHttpClient("payment-provider-api"));
builder.Services.AddSingleton<PaymentProvider>();
builder.Services.AddSingleton<Settlement>();
builder.Services.AddSingleton<UnsettledPayments>();
builder.Services.AddSingleton<OrderEvents>();
builder.Services.AddHostedService<UnsettledWorker>();

var app = builder.Build();
app.MapServiceDefaults();
app.MapEventLog().RequireCaller("ordering", "reporting");
app.MapPayments();
app.MapTopic("orders", "ordering", app.Services.GetRequiredService<OrderEvents>().HandleAsync);
app.Run();
