namespace DaprOrders.Sidecar.Launcher;

/// <summary>Why the system cannot start or go on, in words for the user: no stack trace is shown.</summary>
internal sealed class LaunchException(string message, Exception? inner = null) : Exception(message, inner);
