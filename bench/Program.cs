using System.CommandLine;
using DaprOrders.Bench.EventStores;
using DaprOrders.Bench.Orders;
using DaprOrders.Bench.Sidecars;

return await new RootCommand("Measures DaprOrders on this machine, over the loopback only. Build it in Release.")
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
}.Parse(args).InvokeAsync();
