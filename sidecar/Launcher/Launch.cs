using System.Diagnostics;
using DaprOrders.Demo;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>A run from the command line: everything that can be wrong is looked for before anything is started.</summary>
internal static class Launch
{
    /// <summary>As shells answer for a program that Ctrl-C ended: what was begun is not done.</summary>
    public const int EndedBySignal = 130;

    private const string ConsoleApp = "console";

    /// <summary>Runs until Ctrl-C, SIGTERM, or with --fail-fast the failure of an app; answers the exit code.</summary>
    public static Task<int> RunAsync(LaunchOptions options, LaunchConsole console, CancellationToken cancellationToken) =>
        GuardAsync(console, async () =>
        {
            await StartAndAsync(options, console, async (system, plan) =>
            {
                if (plan.IsOwnRunFile)
                    await StockSampleAsync(plan.RunFile, console, cancellationToken);
                ShowAddresses(plan, console);
                await system.Failed.WaitAsync(cancellationToken);
            }, cancellationToken);
            return 0;
        }, cancellationToken, ended: 0);

    /// <summary>Starts the system, waits until all of it is ready, runs <paramref name="use"/>, and ends it.</summary>
    public static async Task StartAndAsync(
        LaunchOptions options, LaunchConsole console, Func<RunningSystem, LaunchPlan, Task> use, CancellationToken cancellationToken)
    {
        var time = TimeProvider.System;
        var began = time.GetTimestamp() - (long)((DateTime.Now - Process.GetCurrentProcess().StartTime).TotalSeconds * time.TimestampFrequency);
        RefuseProduction();
        var plan = LaunchPlan.Read(options);
        foreach (var warning in plan.Warnings)
            console.Warning(warning.ToString());
        if (options.Reset && !plan.IsOwnRunFile)
            throw new LaunchException("--reset empties data/ of this repository; what another run file keeps, and where, its components say.");

        using var record = ProcessRecord.TryOpen(plan.DataFolder)
            ?? throw new LaunchException($"A launcher already runs with {plan.DataFolder}. Stop it first (Ctrl-C there).");
        foreach (var leftover in record.EndLeftovers())
            console.Warning($"ended {leftover}, left behind by a run that was killed");
        if (options.Reset)
            record.EmptyFolder();
        if (Ports.FindTaken(plan.RunFile) is { Count: > 0 } taken)
            throw new LaunchException($"{string.Join(Environment.NewLine, taken)}{Environment.NewLine}Stop what has them, or give other ports in {plan.RunFile.Path}.");
        if (!options.NoBuild && plan.IsOwnRunFile)
            began = await BuildAsync(plan.RunFile, console, time, began, cancellationToken);

        using var log = new SidecarLog(Path.Combine(plan.DataFolder, "sidecar.log"), console, time, plan.RunFile.Apps);
        await using var system = await RunningSystem.StartAsync(plan, record, console, log, time, began, options.FailFast, RestartPolicy.Default, cancellationToken);
        try
        {
            await await Task.WhenAny(system.Ready, system.Failed).WaitAsync(cancellationToken);
            await use(system, plan);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            console.Line("stopping ...");
            throw;
        }
    }

    /// <summary>Turns what can go wrong into words and an exit code: <paramref name="failed"/>, or <paramref name="ended"/> where it was cancelled.</summary>
    public static async Task<int> GuardAsync(
        LaunchConsole console, Func<Task<int>> run, CancellationToken cancellationToken, int failed = 1, int ended = EndedBySignal)
    {
        try
        {
            return await run();
        }
        catch (ResourceException e)
        {
            console.Error($"nothing was started: {(e.Errors.Count == 1 ? "there is a mistake" : $"there are {e.Errors.Count} mistakes")}");
            foreach (var error in e.Errors)
                console.Line($"  {error}");
            return failed;
        }
        catch (Exception e) when (e is LaunchException or ShopException)
        {
            console.Error(e.Message);
            return failed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ended;
        }
    }

    /// <summary>A development and test runtime: it has neither Dapr's security nor its availability.</summary>
    internal static void RefuseProduction()
    {
        foreach (var name in new[] { "DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT" })
        {
            if ("Production".Equals(Environment.GetEnvironmentVariable(name), StringComparison.OrdinalIgnoreCase))
                throw new LaunchException($"The embedded sidecar is for development and tests and does not start with {name}=Production. Run Dapr there: dapr run -f .");
        }

        if (Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_HOST") is { Length: > 0 })
            throw new LaunchException("The embedded sidecar is for development and tests and does not start inside Kubernetes. Install Dapr there.");
    }

    private static async Task<long> BuildAsync(RunFile runFile, LaunchConsole console, TimeProvider time, long began, CancellationToken cancellationToken)
    {
        var build = new ServicesBuild(runFile);
        if (!build.Applies || build.IsUpToDate)
            return began;
        console.Line("building the services (Release) ...");
        var before = time.GetTimestamp();
        try
        {
            await build.BuildAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            console.Line("stopped while building: nothing was started");
            throw;
        }

        console.Good("built", $"in {time.GetElapsedTime(before).TotalSeconds:0} s");
        // Times are told without the build.
        return began + (time.GetTimestamp() - before);
    }

    private static async Task StockSampleAsync(RunFile runFile, LaunchConsole console, CancellationToken cancellationToken)
    {
        if (runFile.DaprAddress("ordering") is not { } ordering || runFile.DaprAddress("inventory") is not { } inventory)
            return;
        using var shop = new ShopClient(ordering, inventory);
        try
        {
            await SampleProduct.EnsureInStockAsync(shop, cancellationToken);
        }
        catch (ShopException e)
        {
            console.Error($"the sample product {SampleProduct.Sku} could not be put in stock: {e.Message}");
        }
    }

    private static void ShowAddresses(LaunchPlan plan, LaunchConsole console)
    {
        console.Line();
        foreach (var app in plan.RunFile.Apps.Where(a => a.AppPort > 0 && a.DaprHttpPort > 0 && !(plan.IsOwnRunFile && a.AppId == ConsoleApp)))
        {
            // Of this repository's services it is known that they describe themselves.
            var description = plan.IsOwnRunFile ? $"    http://localhost:{app.AppPort}/openapi/v1.json" : "";
            console.Line($"  {app.AppId,-18} http://localhost:{app.DaprHttpPort}/v1.0/invoke/{app.AppId}/method/{description}");
        }

        console.Line($"  logs               .dapr/logs in the folder of each app, {Path.Combine(plan.DataFolder, "sidecar.log")}");
        if (plan.IsOwnRunFile && plan.RunFile.DaprAddress("ordering") is { } ordering)
        {
            console.Line();
            console.Line("Place an order:");
            console.Line($"  {SampleProduct.CurlLine(ordering)}");
        }

        console.Line();
        console.Line("Ctrl-C ends everything.");
        if (plan.IsOwnRunFile && plan.RunFile.Apps.FirstOrDefault(a => a.AppId == ConsoleApp) is { AppPort: > 0 } page)
            console.Line($"See every order: http://localhost:{page.AppPort}");
    }
}
