using DaprOrders.EventSourcing;
using DaprOrders.Payments.SettlingPayments;
using DaprOrders.Tests;

namespace DaprOrders.Payments.Tests;

/// <summary>The events that Payments keeps to itself.</summary>
public sealed class GoldenEventTests() : GoldenEvents(new EventTypes().AddFamily<UnsettledEvent>());
