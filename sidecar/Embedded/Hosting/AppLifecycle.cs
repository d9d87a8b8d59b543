using System.Net;
using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// Follows the application: waits for its port, probes its health when asked to, and each time it becomes healthy asks for GET /dapr/config and
/// starts the parts, in daprd's order (pkg/runtime/runtime.go); when it turns unhealthy, stops them.
/// </summary>
internal sealed class AppLifecycle(SidecarRuntime runtime)
{
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Parts start, stop and follow one after the other.</summary>
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _following = Task.CompletedTask;

    /// <summary>Outlives its source.</summary>
    private CancellationToken _stoppingToken;
    private bool _partsStarted;

    /// <summary>The application was asked all there is to ask, and the parts work; fails when one of them cannot start.</summary>
    public Task Ready => _ready.Task;

    public void Start()
    {
        _stoppingToken = _stopping.Token;
        _following = FollowAsync(_stoppingToken);
    }

    /// <summary>Called once.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _following;
        _ready.TrySetCanceled(_stopping.Token);
        // Whatever changes meanwhile was cancelled, and lets go.
        await UnderLockAsync(_ => StopPartsAsync(cancellationToken), CancellationToken.None);
        _stopping.Dispose();
    }

    /// <summary>Takes the parts that are at work over to what is loaded now.</summary>
    public Task FollowChangeAsync() => ChangeAsync(
        async cancellationToken =>
        {
            foreach (var part in _partsStarted ? runtime.Parts : [])
            {
                try
                {
                    await part.FollowAsync(cancellationToken);
                }
                catch (Exception e) when (!cancellationToken.IsCancellationRequested)
                {
                    runtime.Logger.LogError(e, "{Part} of {AppId} cannot go over to the changed files: {Reason}", part.GetType().Name, runtime.Options.AppId, e.Message);
                }
            }

            await runtime.Streams.FollowAsync(cancellationToken);
            await runtime.ConfigurationSubscriptions.FollowAsync(cancellationToken);
        });

    /// <summary>As daprd at a SIGHUP: the application is asked everything again. What is done for it stops until then; the APIs answer.</summary>
    public Task StartAgainAsync() => ChangeAsync(
        async cancellationToken =>
        {
            await StopPartsAsync(cancellationToken);
            runtime.ForgetApp();
            await runtime.Streams.FollowAsync(cancellationToken);
            await runtime.ConfigurationSubscriptions.FollowAsync(cancellationToken);
            // One that is probed becomes healthy by its next probe, and the first start asks by itself.
            if (!_ready.Task.IsCompleted || runtime.Options.AppHealthCheck is not null)
                return;
            if (runtime.App is { } app)
                await app.WaitForPortAsync(cancellationToken);
            await StartPartsAsync(cancellationToken);
        });

    private async Task ChangeAsync(Func<CancellationToken, Task> change)
    {
        try
        {
            await UnderLockAsync(change, _stoppingToken);
        }
        catch (OperationCanceledException) when (_stoppingToken.IsCancellationRequested)
        {
            // The sidecar ends.
        }
        catch (Exception e)
        {
            runtime.Logger.LogError(e, "The sidecar of {AppId} cannot start again with its changed files: {Reason}", runtime.Options.AppId, e.Message);
        }
    }

    private async Task UnderLockAsync(Func<CancellationToken, Task> change, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            await change(cancellationToken);
        }
        finally
        {
            _changing.Release();
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (runtime.App is { } app)
            {
                await app.WaitForPortAsync(cancellationToken);
                if (runtime.Options.AppHealthCheck is { } check)
                {
                    await ProbeAsync(app, check, cancellationToken);
                    return;
                }
            }

            await BecomeHealthyAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _ready.TrySetCanceled(cancellationToken);
        }
        catch (Exception e)
        {
            runtime.Logger.LogCritical(e, "The sidecar of {AppId} cannot start: {Reason}", runtime.Options.AppId, e.Message);
            _ready.TrySetException(e);
        }
    }

    private async Task ProbeAsync(AppChannel app, AppHealthCheck check, CancellationToken cancellationToken)
    {
        var failures = 0;
        // As daprd's: the beat does not wait for a probe that takes long, and of several beats that were missed one is made up for.
        using var beat = new PeriodicTimer(check.Interval, runtime.Time);
        do
        {
            if (await IsHealthyAsync(app, check, cancellationToken))
            {
                if (!app.IsHealthy)
                {
                    failures = 0;
                    runtime.Logger.LogInformation("{AppId} is healthy", runtime.Options.AppId);
                    await BecomeHealthyOrTryAgainAsync(app, cancellationToken);
                }
            }
            else if (++failures == check.Threshold && app.IsHealthy)
            {
                // Failures add up until it is ill: a success among them does not count, as in daprd.
                runtime.Logger.LogWarning("{AppId} failed {Failures} health checks: no more deliveries until it is healthy", runtime.Options.AppId, failures);
                app.IsHealthy = false;
                await UnderLockAsync(StopPartsAsync, cancellationToken);
            }
        }
        while (await beat.WaitForNextTickAsync(cancellationToken));
    }

    private async Task<bool> IsHealthyAsync(AppChannel app, AppHealthCheck check, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(check.Timeout);
        try
        {
            return await app.IsWellAsync(check.Path, timeout.Token);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            runtime.Logger.LogDebug(e, "The health check of {AppId} got no answer", runtime.Options.AppId);
            return false;
        }
    }

    /// <summary>Failing at the start ends the start; failing later is tried again at the next probe.</summary>
    private async Task BecomeHealthyOrTryAgainAsync(AppChannel app, CancellationToken cancellationToken)
    {
        try
        {
            await BecomeHealthyAsync(cancellationToken);
        }
        catch (Exception e) when (runtime.IsReady && !cancellationToken.IsCancellationRequested)
        {
            runtime.Logger.LogError(e, "The work for {AppId} cannot go on, and is tried again: {Reason}", runtime.Options.AppId, e.Message);
            app.IsHealthy = false;
            await UnderLockAsync(StopPartsAsync, cancellationToken);
        }
    }

    private Task BecomeHealthyAsync(CancellationToken cancellationToken) => UnderLockAsync(StartPartsAsync, cancellationToken);

    private async Task StartPartsAsync(CancellationToken cancellationToken)
    {
        if (runtime.App is { } app)
        {
            // Asked once: an application that was ill keeps what it said at the start.
            if (!runtime.IsReady && app.Grpc is null)
                runtime.AppConfiguration = await AskConfigurationAsync(app, cancellationToken);
            app.IsHealthy = true;
        }

        _partsStarted = true;
        foreach (var part in runtime.Parts)
            await part.StartAsync(cancellationToken);

        runtime.IsReady = true;
        _ready.TrySetResult();
    }

    private async Task<JsonElement?> AskConfigurationAsync(AppChannel app, CancellationToken cancellationToken)
    {
        try
        {
            using var request = app.InitRequest("/dapr/config");
            using var response = await app.SendAsync(request, cancellationToken);
            if (response.StatusCode != HttpStatusCode.OK)
                return null;

            using var document = JsonDocument.Parse(await AppChannel.ReadAsync(response, cancellationToken), GoJson.DocumentOptions);
            return document.RootElement.Clone();
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            runtime.Logger.LogWarning(
                e, "GET /dapr/config of {AppId} gave nothing to read: {Reason}. Its actors and settings are not known", runtime.Options.AppId, e.Message);
            return null;
        }
    }

    private async Task StopPartsAsync(CancellationToken cancellationToken)
    {
        if (!_partsStarted)
            return;

        _partsStarted = false;
        foreach (var part in runtime.Parts.Reverse())
        {
            try
            {
                await part.StopAsync(cancellationToken);
            }
            catch (Exception e)
            {
                runtime.Logger.LogError(e, "{Part} of {AppId} did not stop cleanly", part.GetType().Name, runtime.Options.AppId);
            }
        }
    }
}
