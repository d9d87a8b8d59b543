using DaprOrders.EventSourcing;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Inventory.ReceivingStock;
using DaprOrders.Inventory.Stock;
using DaprOrders.Tests;

namespace DaprOrders.Inventory.Tests;

/// <summary>The events that Inventory keeps to itself.</summary>
public sealed class GoldenEventTests() : GoldenEvents(new EventTypes().AddFamily<StockEvent>().Add<SkuListed>().Add<ReceiptBooked>());
