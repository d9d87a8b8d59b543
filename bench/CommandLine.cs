using System.CommandLine;
using DaprOrders.Bench.EventStores;
using DaprOrders.Bench.Orders;
using DaprOrders.Bench.Sidecars;

namespace DaprOrders.Bench;

/// <summary>The commands of <c>dotnet run --project bench --</c>.</summary>
internal static class CommandLine
{
    public static RootCommand Create() => new("Measures DaprOrders on this machine, over the loopback only. Build it in Release.")
    {
        AppendCommand.Create(),
        LoadCommand.Create(),
        StockBench.Create(),
        EchoCommand.Create(),
        OrdersCommand.Create(),
        FlowCommand.Create(),
        ReplicasCommand.Create(),
        TracingCommand.Create(),
        SoakCommand.Create(),
        RebuildCommand.Create(),
        CallsCommand.Create(),
        PagesCommand.Create(),
        SidecarCommand.Create(),
        EmbeddedCommand.Create(),
    };
}
