namespace DaprOrders.Inventory.Stock;

/// <summary>Written until each end of a hold told its quantity: streams hold them for ever. Was granted.</summary>
public sealed record GoodsHeld(string OrderId, int Quantity) : StockEvent;

/// <summary>Written earlier: was released.</summary>
public sealed record GoodsReleased(string OrderId) : StockEvent;

/// <summary>Written earlier: a release found nothing to release.</summary>
public sealed record HoldForestalled(string OrderId) : StockEvent;

/// <summary>Written earlier: was fulfilled.</summary>
public sealed record GoodsShipped(string OrderId) : StockEvent;
