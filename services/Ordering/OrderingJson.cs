using System.Text.Json;
using System.Text.Json.Serialization;
using DaprOrders.Ordering.CancellingOrders;
using DaprOrders.Ordering.FollowingOrders;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.Ordering.Pricing;

namespace DaprOrders.Ordering;

/// <summary>Generated readers and writers for what every order passes through.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(PlaceOrderRequest))]
[JsonSerializable(typeof(CancelOrderRequest))]
[JsonSerializable(typeof(OrderView))]
[JsonSerializable(typeof(OrderEventView[]))]
[JsonSerializable(typeof(ProductLookup))]
[JsonSerializable(typeof(ProductsFound))]
internal sealed partial class OrderingJson : JsonSerializerContext;
