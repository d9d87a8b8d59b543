using DaprOrders.EventSourcing;
using DaprOrders.Tests;

namespace DaprOrders.Contracts.Tests;

/// <summary>The events that services tell each other.</summary>
public sealed class GoldenEventTests() : GoldenEvents(new EventTypes()
    .AddFamily<OrderEvent>()
    .AddFamily<ReservationEvent>()
    .AddFamily<ProductEvent>()
    .AddFamily<PaymentEvent>()
    .AddFamily<ShipmentEvent>());
