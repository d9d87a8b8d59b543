using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Topics;
using DaprOrders.Shipping;
using DaprOrders.Shipping.CancellingShipments;
using DaprOrders.Shipping.DispatchingShipments;
using DaprOrders.Shipping.Shipments;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("shipping");
builder.Services.AddEventStore(types => types.AddFamily<ShipmentEvent>().AddFamily<OrderEvent>());
builder.Services.AddOptions<ShippingOptions>().BindConfiguration("Shipping");
builder.Services.AddSingleton<PaidOrders>();
builder.Services.AddSingleton<PaymentsInOrdering>();

var app = builder.Build();
app.MapServiceDefaults();
app.MapEventLog().RequireCaller("ordering", "reporting", "console");
app.MapShipments();
app.MapDispatching();
app.MapCancelling();
app.MapTopic("orders", "ordering", app.Services.GetRequiredService<PaidOrders>().HandleAsync, PaidOrders.WithoutEffect);
app.Run();
