using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Inventory.ReceivingStock;
using DaprOrders.Inventory.ReservingStock;
using DaprOrders.Inventory.Stock;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Topics;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("inventory");
builder.Services.AddEventStore(types => types
    .AddFamily<ReservationEvent>().AddFamily<ProductEvent>().AddFamily<OrderEvent>()
    .AddFamily<StockEvent>().Add<SkuListed>().Add<ReceiptBooked>());
builder.Services.AddSingleton<ApplyToStock>(services =>
    (sku, commands, cancellationToken) => StockItems.ApplyAsync(services.GetRequiredService<EventStore>(), sku, commands, cancellationToken));
builder.Services.AddSingleton<StockItems>();
builder.Services.AddSingleton<Catalogue>();
builder.Services.AddSingleton<Products>();
builder.Services.AddSingleton<Receipts>();
builder.Services.AddSingleton<GoodsForOrders>();

var app = builder.Build();
app.MapServiceDefaults();
app.MapEventLog().RequireCaller("ordering", "reporting", "console");
app.MapProducts();
app.MapReceipts();
app.MapReservations();
app.MapTopic("orders", "ordering", app.Services.GetRequiredService<GoodsForOrders>().HandleAsync, GoodsForOrders.WithoutEffect);
app.Run();
