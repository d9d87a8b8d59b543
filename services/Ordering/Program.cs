using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering;
using DaprOrders.Ordering.CancellingOrders;
using DaprOrders.Ordering.Deadlines;
using DaprOrders.Ordering.FollowingOrders;
using DaprOrders.Ordering.FulfillingOrders;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.Ordering.Pricing;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Topics;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddExceptionHandler<ServiceUnavailable>();
builder.AddServiceDefaults("ordering");
builder.Services.AddEventStore(types => types
    .AddFamily<OrderEvent>()
    .AddFamily<ReservationEvent>()
    .AddFamily<ProductEvent>()
    .AddFamily<PaymentEvent>()
    .AddFamily<ShipmentEvent>());
builder.Services.AddOptions<OrderingOptions>().BindConfiguration("Ordering").ValidateDataAnnotations().ValidateOnStart();
builder.Services.ConfigureHttpJsonOptions(options =>
    options.SerializerOptions.TypeInfoResolverChain.Insert(0, OrderingJson.Default));

builder.Services.AddSingleton<ProductReplica>();
builder.Services.AddSingleton<InventoryProducts>();
builder.Services.AddSingleton<PriceList>();
builder.Services.AddSingleton<OrdersUnderway>();
builder.Services.AddSingleton<Shipping>();
builder.Services.AddSingleton<OrderFulfillment>();
builder.Services.AddSingleton<PaymentDeadlines>();
builder.Services.AddHostedService<WatchingDeadlines>();
builder.Services.AddActors(options =>
{
    options.UseJsonSerialization = true;
    options.Actors.RegisterActor<DeadlineActor>();
});

var app = builder.Build();
app.MapServiceDefaults();

app.MapPlacingOrders();
app.MapCancellingOrders();
app.MapFollowingOrders();
app.MapEventLog().RequireCaller("inventory", "payments", "shipping", "reporting", "console");

var fulfillment = app.Services.GetRequiredService<OrderFulfillment>();
app.MapTopic("stock", "inventory", fulfillment.FollowAsync, OrderFulfillment.WithoutEffect);
app.MapTopic("payments", "payments", fulfillment.FollowAsync);
app.MapTopic("shipments", "shipping", fulfillment.FollowAsync);
app.MapTopic("products", "inventory", app.Services.GetRequiredService<PriceList>().FollowAsync);
app.MapActorsHandlers();

app.Run();
