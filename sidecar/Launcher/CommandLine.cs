using System.CommandLine;
using System.Runtime.InteropServices;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>The options and commands of <c>dotnet run --project sidecar --</c>.</summary>
internal static class CommandLine
{
    /// <summary>How long the end may take after Ctrl-C; then this process goes, and its guard ends what is left.</summary>
    private static readonly TimeSpan EndWithin = TimeSpan.FromSeconds(10);

    /// <summary>As most programs answer for options that they do not know; 1 would be a finding of an audit.</summary>
    private const int WrongUse = 2;

    private static readonly Option<string?> RunFile = new("--run-file", "-f")
    {
        Description = "Runs another multi-app run file, or the dapr.yaml of a folder, as it is written. Default: this repository's dapr.yaml",
        HelpName = "PATH",
        Recursive = true,
    };

    private static readonly Option<string?> ResourcesPath = new("--resources-path", "-d")
    {
        Description = "The folder that takes the place of components/redis. Default: components/local",
        HelpName = "PATH",
        Recursive = true,
    };

    private static readonly Option<bool> Reset = new("--reset") { Description = "Empties data/ first", Recursive = true };

    private static readonly Option<bool> NoBuild = new("--no-build") { Description = "Starts what was built last", Recursive = true };

    private static readonly Option<bool> FailFast = new("--fail-fast")
    {
        Description = "Ends the run when an app cannot be kept alive; without it the others go on, as with dapr run",
        Recursive = true,
    };

    private static readonly Option<bool> Strict = new("--strict")
    {
        Description = "Does not start where a file holds what Dapr passes over; without it that is told as a warning",
        Recursive = true,
    };

    private static readonly Option<int> Wait = new("--wait")
    {
        Description = "How long the flow may take to come to rest",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 30,
    };

    private static readonly Option<Dictionary<string, Uri>> Addresses = new("--address")
    {
        Description = "Where an app is, for instance by a port-forward; may be repeated. Default: localhost, at the app's port in the run file",
        HelpName = "APP=URL",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
        CustomParser = AuditCommand.ReadAddresses,
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<bool> NoLedger = new("--no-ledger") { Description = "The payment company has no ledger to read: what it booked is not looked at" };

    private static readonly Option<string?> Server = new("--address")
    {
        Description = "Where the server is, user and password included, in the place of the component's natsURL",
        HelpName = "URL",
    };

    private static readonly Option<int> Replicas = new("--replicas")
    {
        Description = "In how many servers of a cluster each stream is kept",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => 1,
    };

    private static readonly Argument<string[]> Topics = new("topics")
    {
        Description = "Topics that neither a Subscription file nor a scope names",
        Arity = ArgumentArity.ZeroOrMore,
    };

    public static async Task<int> RunAsync(string[] arguments)
    {
        var parsed = Create().Parse(arguments);
        var code = await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = EndWithin });
        return parsed.Errors.Count == 0 ? code : WrongUse;
    }

    internal static RootCommand Create()
    {
        var demo = new Command("demo", "Places orders of every kind, shows how each travelled, and ends");
        demo.SetAction((parsed, token) => WithSignalsAsync(t => DemoCommand.RunAsync(OptionsOf(parsed), new LaunchConsole(), t), token));

        var audit = new Command("audit", "Checks that a running system has lost nothing, charged nobody twice and sold nothing that was not there; exit code 1 if it has, 2 if it cannot be asked") { Wait, Addresses, NoLedger };
        audit.SetAction((parsed, token) => WithSignalsAsync(
            t => AuditCommand.RunAsync(
                new(parsed.GetValue(RunFile), TimeSpan.FromSeconds(parsed.GetValue(Wait)), parsed.GetValue(Addresses)!, !parsed.GetValue(NoLedger)), new LaunchConsole(), t),
            token));

        var streams = new Command("streams", "Makes the streams that pubsub.jetstream needs, since Dapr makes none: one for each topic; existing ones are left alone") { Topics, Replicas, Server };
        streams.SetAction((parsed, token) => WithSignalsAsync(
            t => StreamsCommand.RunAsync(OptionsOf(parsed), parsed.GetValue(Server), parsed.GetValue(Topics) ?? [], parsed.GetValue(Replicas), new LaunchConsole(), t), token));

        var root = new RootCommand("Runs a Dapr multi-app run file with embedded sidecars: nothing to install, for development and tests") { RunFile, ResourcesPath, Reset, NoBuild, FailFast, Strict, demo, audit, streams };
        root.SetAction((parsed, token) => WithSignalsAsync(t => Launch.RunAsync(OptionsOf(parsed), new LaunchConsole(), t), token));
        return root;
    }

    private static LaunchOptions OptionsOf(ParseResult parsed) => new()
    {
        RunFile = parsed.GetValue(RunFile),
        ResourcesPath = parsed.GetValue(ResourcesPath),
        Reset = parsed.GetValue(Reset),
        NoBuild = parsed.GetValue(NoBuild),
        FailFast = parsed.GetValue(FailFast),
        Strict = parsed.GetValue(Strict),
    };

    /// <summary>
    /// Ctrl-C, SIGTERM and a closed terminal end the run. System.CommandLine cancels its token by the first two, but listens only once the run
    /// waits for something: an earlier signal was lost.
    /// </summary>
    private static async Task<int> WithSignalsAsync(Func<CancellationToken, Task<int>> run, CancellationToken cancellationToken)
    {
        // Not disposed: a second signal may come while the first one ends the run.
        var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, End);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        return await run(stop.Token);

        void End(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }
}
