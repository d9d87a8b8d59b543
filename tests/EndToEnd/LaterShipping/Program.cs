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
builder.Services.AddEventStore(types =>
{
    types.AddFamily<ShipmentEvent>().AddFamily<OrderEvent>()
        .Add<ShipmentDispatched>(schemaVersion: 2).Upcast(nameof(ShipmentDispatched), 1, ShipmentDispatched.Upcast);
    // On in the release after the one that reads version 2 first.
    if (!builder.Configuration.GetValue<bool>("Shipping:WritesTracking"))
        types.WriteAs(nameof(ShipmentDispatched), 1, ShipmentDispatched.Downcast);
});
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
