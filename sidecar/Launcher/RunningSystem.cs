using System.Globalization;
using System.Net.Sockets;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// A started run file: a sidecar and a process for each app. All processes are started at once, in the order of the file, once every
/// sidecar answers: services wait for each other by their own means, and so the slowest start is the whole start.
/// </summary>
internal sealed class RunningSystem : IAsyncDisposable, IProcessWatch
{
    private const string AppProcessEntry = "appPID";

    private static readonly TimeSpan SidecarGrace = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AppGrace = TimeSpan.FromSeconds(5);

    private readonly LaunchPlan _plan;
    private readonly ProcessRecord _record;
    private readonly LaunchConsole _console;
    private readonly TimeProvider _time;
    private readonly long _began;
    private readonly bool _failFast;
    private readonly RestartPolicy _restart;
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<AppSupervisor> _supervisors = [];
    private Guard? _guard;
    private EmbeddedDapr? _dapr;

    private RunningSystem(LaunchPlan plan, ProcessRecord record, LaunchConsole console, TimeProvider time, long began, bool failFast, RestartPolicy restart) =>
        (_plan, _record, _console, _time, _began, _failFast, _restart) = (plan, record, console, time, began, failFast, restart);

    /// <summary>Every app can take work, but for those that were given up.</summary>
    public Task Ready { get; private set; } = Task.CompletedTask;

    /// <summary>Fails with the reason when an app or a sidecar cannot live and the run is to end by it; never ends otherwise.</summary>
    public Task Failed { get; private set; } = Task.CompletedTask;

    /// <summary>The time since the start, without a build.</summary>
    public TimeSpan SinceBegin => _time.GetElapsedTime(_began);

    public IReadOnlyList<AppSupervisor> Supervisors => _supervisors;

    public EmbeddedDapr Dapr => _dapr!;

    /// <param name="plan">What to start.</param>
    /// <param name="record">Where the processes are written down.</param>
    /// <param name="console">Where each app's readiness and death is told.</param>
    /// <param name="log">The sidecars' log.</param>
    /// <param name="time">The clock.</param>
    /// <param name="began">When the start began, a timestamp of <paramref name="time"/>.</param>
    /// <param name="failFast">One app that cannot live fails the system (<see cref="Failed"/>); else that is told, and the others go on.</param>
    /// <param name="restart">When an app that has died is started again, and when it cannot live.</param>
    /// <param name="cancellationToken">Gives the start up.</param>
    /// <exception cref="LaunchException">A port is taken or refused.</exception>
    /// <exception cref="ResourceException">A component cannot be started.</exception>
    public static async Task<RunningSystem> StartAsync(
        LaunchPlan plan,
        ProcessRecord record,
        LaunchConsole console,
        SidecarLog log,
        TimeProvider time,
        long began,
        bool failFast,
        RestartPolicy restart,
        CancellationToken cancellationToken)
    {
        var system = new RunningSystem(plan, record, console, time, began, failFast, restart);
        try
        {
            await system.StartAsync(log, cancellationToken);
            return system;
        }
        catch
        {
            await system.DisposeAsync();
            throw;
        }
    }

    public void Started(string appId, ProcessMark process)
    {
        _record.Add(appId, process);
        _guard?.Watch(process);
    }

    public void Ended(ProcessMark process)
    {
        _record.Remove(process);
        _guard?.Forget(process);
    }

    /// <summary>
    /// No more deliveries, so that no message goes to an app that is ending; then the apps, all at once, which may still use their sidecars
    /// to put their house in order; then the sidecars. Within ten seconds in all.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_supervisors.Select(s => s.LetGoAsync()));
        if (_dapr is not null)
        {
            using var limit = new CancellationTokenSource(SidecarGrace);
            await WithinAsync(Task.WhenAll(_dapr.Sidecars.Select(s => s.StopTakingWorkAsync(limit.Token))), "finish what they were delivering");
        }

        await Task.WhenAll(_supervisors.Select(s => s.StopAsync(AppGrace)));
        if (_dapr is not null)
            await WithinAsync(_dapr.DisposeAsync().AsTask(), "close");
        foreach (var supervisor in _supervisors)
            await supervisor.DisposeAsync();
        if (_guard is not null)
        {
            _record.Remove(_guard.Mark);
            _guard.Dispose();
        }

        _stopping.Dispose();
    }

    private async Task WithinAsync(Task sidecars, string what)
    {
        try
        {
            await sidecars.WaitAsync(SidecarGrace);
        }
        catch (TimeoutException)
        {
            _console.Warning($"the sidecars did not {what} within {SidecarGrace.TotalSeconds:0} s; the end goes on without");
        }
    }

    private async Task StartAsync(SidecarLog log, CancellationToken cancellationToken)
    {
        if (_plan.RunFile.Apps.Any(a => a.Command.Count > 0))
        {
            _guard = Guard.Start();
            _record.Add("the launcher's guard", _guard.Mark);
        }

        try
        {
            var options = new EmbeddedDaprOptions { Apps = _plan.Sidecars, JobsFile = Path.Combine(_plan.DataFolder, "jobs.db"), LoggerFactory = new LoggerFactory([log]), Time = _time };
            _dapr = await EmbeddedDapr.StartAsync(options, cancellationToken);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            var reasons = Ports.FindTaken(_plan.RunFile) is { Count: > 0 } taken ? taken : Ports.FindRefused(_plan.RunFile);
            throw new LaunchException(
                reasons.Count > 0 ? $"{string.Join(Environment.NewLine, reasons)}{Environment.NewLine}Give other ports in {_plan.RunFile.Path}." : e.Message, e);
        }

        var waits = new List<Task>();
        var lives = new List<Task>();
        foreach (var (app, sidecar) in _plan.RunFile.Apps.Zip(_dapr.Sidecars))
        {
            var metadata = sidecar.Runtime.ExtendedMetadata;
            foreach (var (name, value) in MetadataOf(app, log.FileOf(app.AppId)))
                metadata[name] = value;
            AppSupervisor? supervisor = null;
            if (app.Command.Count > 0)
            {
                supervisor = new AppSupervisor(app, EnvironmentOf(app, sidecar), this, _console, _restart, _time)
                {
                    AfterRestart = async token =>
                    {
                        metadata[AppProcessEntry] = NumberOf(supervisor!);
                        await AppReadiness.WaitForReturnAsync(app, sidecar.Runtime, token);
                        _console.Good("ready", $"{app.AppId} again");
                    },
                };
                _supervisors.Add(supervisor);
                // In the order of the file; one that cannot be started is told with those that die.
                await Task.WhenAny(supervisor.Started).WaitAsync(cancellationToken);
                if (supervisor.LogFile is { } appLog)
                    metadata["appLogPath"] = appLog;
                if (supervisor.Started.IsCompletedSuccessfully)
                    metadata[AppProcessEntry] = NumberOf(supervisor);
                lives.Add(supervisor.Running);
            }

            lives.Add(LifeOfAsync(app, sidecar));
            waits.Add(TellWhenReadyOrGivenUpAsync(app, sidecar, supervisor));
        }

        Ready = Task.WhenAll(waits);
        Failed = WatchAsync(lives);
    }

    private async Task TellWhenReadyOrGivenUpAsync(RunApp app, SidecarHost sidecar, AppSupervisor? supervisor)
    {
        var ready = TellWhenReadyAsync(app, sidecar, supervisor, _stopping.Token);
        var givenUp = new TaskCompletionSource();
        foreach (var life in new[] { supervisor?.Running, sidecar.Ready }.OfType<Task>())
            _ = life.ContinueWith(_ => givenUp.TrySetResult(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        // One that was given up may be ready yet, when somebody starts it by hand.
        if (await Task.WhenAny(ready, givenUp.Task) == ready && !sidecar.Ready.IsFaulted)
            await ready;
    }

    private static async Task LifeOfAsync(RunApp app, SidecarHost sidecar)
    {
        try
        {
            await sidecar.Ready;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new LaunchException($"the sidecar of {app.AppId} cannot do its work: {e.Message}", e);
        }
    }

    private async Task TellWhenReadyAsync(RunApp app, SidecarHost sidecar, AppSupervisor? supervisor, CancellationToken cancellationToken)
    {
        if (supervisor is null && app.AppPort > 0)
            _console.Line($"waiting for {app.AppId}, which has no command: start it on port {app.AppPort}");
        await AppReadiness.WaitAsync(app, sidecar.Ready, why => _console.Warning($"{app.AppId} is not ready yet: {why}"), _time, cancellationToken);
        var seconds = SinceBegin.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
        var address = app.AppPort > 0 ? $"http://localhost:{app.AppPort}" : "no app port";
        var dapr = app.UnixDomainSocket is null ? $"http://localhost:{sidecar.HttpPort}, gRPC {sidecar.GrpcPort}" : $"{sidecar.HttpEndpoint}, gRPC {sidecar.GrpcEndpoint}";
        _console.Good("ready", $"{app.AppId,-18} {seconds,5} s  {address,-22} Dapr {dapr}");
    }

    /// <summary>What cannot live is told, or is the end of all; as with <c>dapr run</c>, a run without a living app goes on.</summary>
    private async Task WatchAsync(List<Task> lives)
    {
        while (lives.Count > 0)
        {
            var ended = await Task.WhenAny(lives);
            if (ended.IsFaulted && _failFast)
                await ended;
            if (ended.IsFaulted)
                _console.Error($"{ended.Exception.InnerException!.Message}{Environment.NewLine}The others go on (--fail-fast ends the run instead).");
            lives.Remove(ended);
        }

        await Task.Delay(Timeout.Infinite);
    }

    private static string NumberOf(AppSupervisor supervisor) => supervisor.Process!.Id.ToString(CultureInfo.InvariantCulture);

    /// <summary>What <c>dapr run -f</c> writes into the metadata of a sidecar (cli cmd/run.go), but for what the process of the app and its log are.</summary>
    private Dictionary<string, string> MetadataOf(RunApp app, string? sidecarLog)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["cliPID"] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture),
            ["runTemplatePath"] = _plan.RunFile.Path,
            ["runTemplateName"] = _plan.RunFile.Name ?? "",
        };
        if (sidecarLog is not null)
            metadata["daprdLogPath"] = sidecarLog;
        if (app.Command.Count > 0)
            metadata["appCommand"] = string.Join(' ', app.Command);
        return metadata;
    }

    /// <summary>As <c>dapr run</c> gives it (cli pkg/standalone/run.go), on top of this process's own.</summary>
    private static Dictionary<string, string> EnvironmentOf(RunApp app, SidecarHost sidecar)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["APP_ID"] = app.AppId,
            ["APP_CHANNEL_ADDRESS"] = app.AppChannelAddress,
            ["APP_PROTOCOL"] = app.AppProtocol,
        };
        if (app.UnixDomainSocket is null)
        {
            environment["DAPR_HTTP_PORT"] = sidecar.HttpPort.ToString(CultureInfo.InvariantCulture);
            environment["DAPR_GRPC_PORT"] = sidecar.GrpcPort.ToString(CultureInfo.InvariantCulture);
        }

        if (app.AppPort > 0)
            environment["APP_PORT"] = app.AppPort.ToString(CultureInfo.InvariantCulture);
        if (app.MetricsPort > 0)
            environment["DAPR_METRICS_PORT"] = app.MetricsPort.ToString(CultureInfo.InvariantCulture);
        foreach (var (name, value) in app.Env)
            environment[name] = value;
        return environment;
    }
}
