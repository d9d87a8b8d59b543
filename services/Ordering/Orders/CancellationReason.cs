namespace DaprOrders.Ordering.Orders;

/// <summary>Why an order was cancelled: the words of the public contract.</summary>
public static class CancellationReason
{
    public const string OutOfStock = "outOfStock";
    public const string PaymentDeclined = "paymentDeclined";
    public const string PaymentTimeout = "paymentTimeout";
    public const string Customer = "customer";
}
