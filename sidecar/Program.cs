using DaprOrders.Sidecar.Launcher;

return args is [Guard.Argument] ? Guard.Run(Console.In) : await CommandLine.RunAsync(args);
