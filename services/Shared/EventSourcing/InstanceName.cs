using Microsoft.Extensions.Configuration;

namespace DaprOrders.EventSourcing;

public static class InstanceName
{
    /// <summary>
    /// As <c>EventStore:Instance</c> says; else machine and port: only one process can listen on a port of a machine, so the pair names an instance
    /// across its restarts.
    /// </summary>
    public static string Of(IConfiguration configuration) => configuration["EventStore:Instance"] is { Length: > 0 } named
        ? named
        : $"{Environment.MachineName}:{(configuration["APP_PORT"] is { Length: > 0 } port and not "0" ? port : $"process {Environment.ProcessId}")}";
}
