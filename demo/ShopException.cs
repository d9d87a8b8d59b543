namespace DaprOrders.Demo;

/// <summary>The shop did not answer as expected; in words for the user.</summary>
public sealed class ShopException(string message, Exception? inner = null) : Exception(message, inner);
