using System.CommandLine;

namespace DaprOrders.Bench.Sidecars;

/// <summary>
/// The embedded sidecars of <see cref="SidecarsUnderLoad"/> in a process of their own, as a daprd is one: started by the bench, tells their addresses a line each, and ends
/// with whoever holds its standard input.
/// </summary>
internal static class EmbeddedCommand
{
    public const string Name = "embedded";

    private static readonly Argument<string> Resources = new("resources");

    private static readonly Argument<int> AppPort = new("appPort");

    public static Command Create()
    {
        var command = new Command(Name) { Resources, AppPort };
        command.Hidden = true;
        command.SetAction(async (parsed, cancellationToken) =>
        {
            await using var dapr = await EmbeddedDapr.StartAsync(
                new EmbeddedDaprOptions
                {
                    Apps =
                    [
                        new SidecarOptions { AppId = SidecarsUnderLoad.Caller },
                        new SidecarOptions { AppId = SidecarsUnderLoad.Callee, AppPort = parsed.GetValue(AppPort) },
                    ],
                    ResourcesPaths = [parsed.GetValue(Resources)!],
                },
                cancellationToken);
            Console.WriteLine(dapr[SidecarsUnderLoad.Caller].HttpEndpoint);
            Console.WriteLine(dapr[SidecarsUnderLoad.Caller].GrpcEndpoint);
            Console.WriteLine(dapr[SidecarsUnderLoad.Callee].HttpEndpoint);
            await Console.In.ReadToEndAsync(cancellationToken);
        });
        return command;
    }
}
