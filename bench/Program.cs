using System.CommandLine;
using DaprOrders.Bench.EventStores;
using DaprOrders.Bench.Orders;

return await new RootCommand("Measures DaprOrders on this machine, over the loopback only. Build it in Release.")
{
    AppendCommand.Create(),
    LoadCommand.Create(),
    StockBench.Create(),
    EchoCommand.Create(),
    OrdersCommand.Create(),
    FlowCommand.Create(),
    SoakCommand.Create(),
    RebuildCommand.Create(),
    CallsCommand.Create(),
}.Parse(args).InvokeAsync();
