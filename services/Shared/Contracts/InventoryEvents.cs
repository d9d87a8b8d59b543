namespace DaprOrders.Contracts;

/// <summary>What happened to an order's reservation. Stream <c>reservation-{orderId}</c>, topic <c>stock</c>.</summary>
public abstract record ReservationEvent(string OrderId);

/// <summary>Every line is held.</summary>
public sealed record StockReserved(string OrderId, IReadOnlyList<ReservedLine> Lines) : ReservationEvent(OrderId);

/// <summary>One line per SKU, in the order of the SKUs.</summary>
public sealed record ReservedLine(string Sku, int Quantity);

/// <summary>At least one line was short; what the others held is given back.</summary>
public sealed record StockRejected(string OrderId, IReadOnlyList<StockShortage> Shortages) : ReservationEvent(OrderId);

public sealed record StockShortage(string Sku, int Requested, int Available);

/// <summary>The order was cancelled: what was held of <c>Lines</c> is free again (also when the cancellation came before anything was held).</summary>
public sealed record ReservationReleased(string OrderId, IReadOnlyList<ReservedLine> Lines) : ReservationEvent(OrderId);

/// <summary>The goods have left the house.</summary>
public sealed record ReservationFulfilled(string OrderId) : ReservationEvent(OrderId);

/// <summary>What happened to a product of the price list. Stream <c>product-{sku}</c>, topic <c>products</c>.</summary>
public abstract record ProductEvent(string Sku);

public sealed record ProductListed(string Sku, string Name, Money Price) : ProductEvent(Sku);

public sealed record ProductChanged(string Sku, string Name, Money Price) : ProductEvent(Sku);
