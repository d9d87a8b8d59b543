using DaprOrders.Bench;

return await CommandLine.Create().Parse(args).InvokeAsync();
