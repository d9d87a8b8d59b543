namespace DaprOrders.Sidecar.Launcher;

/// <summary>When a dead app is started again, and when it is given up. Delays double with each death at once.</summary>
internal sealed record RestartPolicy(TimeSpan AtOnce, int DeathsAtOnce, TimeSpan FirstDelay)
{
    public static RestartPolicy Default { get; } = new(TimeSpan.FromSeconds(5), 3, TimeSpan.FromMilliseconds(250));
}

/// <summary>
/// Keeps one app alive: starts it, tells when it is ready, and starts it again when it dies, until it dies at once too often.
/// An app without an app port that ends with 0 has done its work.
/// </summary>
internal sealed class AppSupervisor : IAsyncDisposable
{
    private static readonly TimeSpan CtrlCNotice = TimeSpan.FromMilliseconds(100);

    private readonly RunApp _app;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly IProcessWatch _watch;
    private readonly LaunchConsole _console;
    private readonly RestartPolicy _restart;
    private readonly TimeProvider _time;
    private readonly AppLog _log;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private AppProcess? _process;
    private int _starts;

    public AppSupervisor(
        RunApp app, IReadOnlyDictionary<string, string> environment, IProcessWatch watch, LaunchConsole console, RestartPolicy restart, TimeProvider time)
    {
        (_app, _environment, _watch, _console, _restart, _time) = (app, environment, watch, console, restart, time);
        _log = new AppLog(app, console, time);
        Running = RunAndTellOfStartAsync();
    }

    /// <summary>Ends when the supervisor is stopped or the app has done its work; fails with a <see cref="LaunchException"/> when the app cannot live.</summary>
    public Task Running { get; }

    /// <summary>The first process has been started.</summary>
    public Task Started => _started.Task;

    public string? LogFile => _log.FilePath;

    /// <summary>The process of this moment.</summary>
    public ProcessMark? Process => _process?.Mark;

    /// <summary>How often the app was started.</summary>
    public int Starts => _starts;

    /// <summary>Runs after each restart, until the app ends: tells when it is ready again.</summary>
    public Func<CancellationToken, Task> AfterRestart { get; init; } = _ => Task.CompletedTask;

    /// <summary>From now on the app is not started again.</summary>
    public Task LetGoAsync() => _stopping.CancelAsync();

    /// <summary>Asks the app to end; ends it with all it has started when the time is over.</summary>
    public async Task StopAsync(TimeSpan grace)
    {
        await _stopping.CancelAsync();
        if (_process is { } process)
            await process.StopAsync(grace);
        await Running.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(TimeSpan.Zero);
        _log.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Whoever waits for the first process learns that none will come, whatever the reason.</summary>
    private async Task RunAndTellOfStartAsync()
    {
        try
        {
            await RunAsync();
            _started.TrySetCanceled();
        }
        catch (Exception e)
        {
            _started.TrySetException(e);
            throw;
        }
    }

    private async Task RunAsync()
    {
        await Task.Yield();
        var deathsAtOnce = 0;
        while (!_stopping.IsCancellationRequested)
        {
            var (exitCode, lived) = await RunOnceAsync();
            // Ctrl-C reaches the app at the same moment as the launcher: such an end is no death.
            if (!await ElapsesAsync(CtrlCNotice))
                return;
            if (exitCode == 0 && _app.AppPort == 0)
            {
                _console.Good("done", $"{_app.AppId} has ended with exit code 0");
                return;
            }

            var last = string.Concat(_log.Last.Select(l => $"{Environment.NewLine}    {l}"));
            var died = $"{_app.AppId} died with exit code {exitCode} after {lived.TotalSeconds:0.0} s";
            deathsAtOnce = lived < _restart.AtOnce ? deathsAtOnce + 1 : 0;
            if (deathsAtOnce == _restart.DeathsAtOnce)
                throw new LaunchException($"{died}: it died at once {deathsAtOnce} times in a row, giving up. Its last lines ({_log.FilePath ?? "console"}):{last}");

            var delay = _restart.FirstDelay * Math.Pow(2, Math.Max(0, deathsAtOnce - 1));
            _console.Error($"{died}; starting it again in {delay.TotalSeconds:0.##} s. Its last lines ({_log.FilePath ?? "console"}):{last}");
            if (!await ElapsesAsync(delay))
                return;
        }
    }

    /// <summary>False when the supervisor is stopped meanwhile.</summary>
    private async Task<bool> ElapsesAsync(TimeSpan delay)
    {
        try
        {
            await Task.Delay(delay, _time, _stopping.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<(int ExitCode, TimeSpan Lived)> RunOnceAsync()
    {
        _log.StartOver();
        var began = _time.GetTimestamp();
        using var process = AppProcess.Start(_app, _environment, _log);
        _process = process;
        _watch.Started(_app.AppId, process.Mark);
        _starts++;
        _started.TrySetResult();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var ready = _starts > 1 ? TellWhenReadyAsync(ended.Token) : Task.CompletedTask;
        // Stopped between the decision to start and now: nobody else will end it.
        if (_stopping.IsCancellationRequested)
            await process.StopAsync(TimeSpan.Zero);
        var exitCode = await process.Exited;
        _watch.Ended(process.Mark);
        await ended.CancelAsync();
        await ready;
        return (exitCode, _time.GetElapsedTime(began));
    }

    private async Task TellWhenReadyAsync(CancellationToken cancellationToken)
    {
        try
        {
            await AfterRestart(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // It died before it was ready, which is told elsewhere.
        }
    }
}

/// <summary>Hears of every process that starts and ends, so that none outlives the launcher.</summary>
internal interface IProcessWatch
{
    void Started(string appId, ProcessMark process);

    void Ended(ProcessMark process);
}
