using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Dapr.AppCallback.Autogen.Grpc.v1;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Components.Bindings.Cron;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Bindings;

/// <summary>
/// The cron input bindings of an application: a POST to the route of each at its times, also while it is still at work on the one before. An
/// application wants one when it answers OPTIONS on the route with 2xx, or 405, as one that knows the route for POST alone; it is not asked where
/// the component says <c>direction: input</c>.
/// </summary>
internal sealed class CronBindings(SidecarRuntime runtime) : ISidecarPart
{
    private static readonly TimeSpan PatienceOfProbe = TimeSpan.FromSeconds(3);

    private readonly List<Binding> _known = [];
    private IReadOnlyCollection<string>? _listed;
    private CancellationTokenSource _givingUp = new();

    /// <summary>One that the application does not want has ended already.</summary>
    private sealed record Binding(LoadedComponent Component, CancellationTokenSource Stopping, Task Ticking);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (runtime.App is not { } app)
            return;
        if (!runtime.IsReady)
            _listed = null;
        var declared = runtime.Loaded.Components.Where(component => component.Instance is CronSchedule).ToList();
        await EndAsync(_known.FindAll(binding => !declared.Exists(component => ReferenceEquals(component, binding.Component))), cancellationToken);
        var added = declared.FindAll(component => !_known.Exists(binding => ReferenceEquals(component, binding.Component)));
        foreach (var component in added)
        {
            bool? isInput = component.Metadata.Text(BindingFields.Direction) is { Length: > 0 } direction
                ? direction.Contains("input", StringComparison.OrdinalIgnoreCase)
                : null;
            if (app.Grpc is { } grpc)
            {
                // Asked once, whatever becomes of the application and of the files, as daprd does.
                if (isInput is null)
                    _listed ??= await ListAsync(grpc, cancellationToken);
                Add(component, isInput ?? _listed!.Contains(component.Name), attempt => CallAsync(grpc, component.Name, attempt));
                continue;
            }

            var route = "/" + InvocationTarget.Clean(component.Metadata.Text(BindingFields.Route, component.Name));
            Add(component, isInput ?? await IsWantedAsync(app, component, route, cancellationToken), attempt => PostAsync(app, component.Name, route, attempt));
        }
    }

    public Task FollowAsync(CancellationToken cancellationToken) => StartAsync(cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await EndAsync([.. _known], cancellationToken);
        await _givingUp.CancelAsync();
        _givingUp = new();
    }

    private void Add(LoadedComponent component, bool isWanted, Func<CancellationToken, Task> call)
    {
        var stopping = new CancellationTokenSource();
        _known.Add(new(component, stopping, isWanted ? TickAsync(component, call, stopping.Token) : Task.CompletedTask));
    }

    private async Task EndAsync(List<Binding> ending, CancellationToken cancellationToken)
    {
        _known.RemoveAll(ending.Contains);
        foreach (var binding in ending)
            await binding.Stopping.CancelAsync();
        await runtime.Time.LetEndAsync(ending.Select(binding => binding.Ticking), cancellationToken);
    }

    private async Task<bool> IsWantedAsync(AppChannel app, LoadedComponent component, string route, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(PatienceOfProbe);
        try
        {
            using var request = Request(HttpMethod.Options, route);
            using var answer = await app.SendAsync(request, patience.Token);
            if (answer.IsSuccessStatusCode || answer.StatusCode == HttpStatusCode.MethodNotAllowed)
                return true;
            runtime.Logger.LogInformation("{AppId} does not want the binding {Binding}: OPTIONS {Route} answered {Status}",
                runtime.Options.AppId, component.Name, route, (int)answer.StatusCode);
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            runtime.Logger.LogError("{AppId} was not to be asked whether it wants the binding {Binding}, and does not get it: OPTIONS {Route}: {Reason}",
                runtime.Options.AppId, component.Name, route, e.Message);
        }
        return false;
    }

    /// <summary>An application that speaks gRPC names the bindings that it wants.</summary>
    private async Task<IReadOnlyCollection<string>> ListAsync(CallInvoker app, CancellationToken cancellationToken)
    {
        try
        {
            return (await app.AsyncUnaryCall(AppCallbacks.ListInputBindings, null, new(cancellationToken: cancellationToken), new())).Bindings;
        }
        catch (RpcException error)
        {
            if (error.StatusCode != StatusCode.Unimplemented)
                runtime.Logger.LogError("{AppId} was asked which input bindings it wants, and gets none: {Reason}", runtime.Options.AppId, error.Status.Detail);
            return [];
        }
    }

    private async Task TickAsync(LoadedComponent component, Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        var schedule = (CronSchedule)component.Instance;
        var calls = new List<Task>();
        try
        {
            for (var due = schedule.Next(runtime.Time.GetUtcNow()); due is not null; due = schedule.Next(Later(due.Value, runtime.Time.GetUtcNow())))
            {
                await runtime.Time.WaitUntilAsync(due.Value, cancellationToken);
                calls.RemoveAll(earlier => earlier.IsCompleted);
                calls.Add(CallAsync(component.Name, call, _givingUp.Token));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The sidecar stops, or the application is not healthy.
        }
        finally
        {
            await Task.WhenAll(calls).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Keeps the rhythm, unless the machine slept.</summary>
    private static DateTimeOffset Later(DateTimeOffset due, DateTimeOffset now) => now - due > TimeSpan.FromSeconds(1) ? now : due;

    private async Task CallAsync(string binding, Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        var begun = Stopwatch.GetTimestamp();
        try
        {
            try
            {
                await runtime.Resiliency.ForComponentInbound(binding, ComponentKind.Binding).RunAsync(call, cancellationToken);
            }
            catch (AttemptFailedException e) when (e.HttpStatus is >= 200 and < 300)
            {
                // To the policy alone it was a failure.
            }

            runtime.Metrics.InputBindingHandled(binding, success: true, Stopwatch.GetElapsedTime(begun));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            runtime.Metrics.InputBindingHandled(binding, success: false, Stopwatch.GetElapsedTime(begun));
            runtime.Logger.LogWarning("{AppId} failed the tick of binding {Binding}: {Reason}", runtime.Options.AppId, binding, e.Message);
        }
    }

    private async Task PostAsync(AppChannel app, string binding, string route, CancellationToken cancellationToken)
    {
        using var span = runtime.Loaded.Tracing?.StartInputBinding(binding, $"POST /{binding}");
        using var request = Request(HttpMethod.Post, route);
        request.Headers.TryAddWithoutValidation("traceparent", span?.TraceParent ?? TraceParent.Continue(null, runtime.Loaded.Configuration.Tracing.RateOfNew));
        request.Headers.TryAddWithoutValidation("readTimeUTC", ReadTime());
        request.Headers.TryAddWithoutValidation("timeZone", "UTC");
        using var answer = await app.SendAsync(request, cancellationToken);
        var status = (int)answer.StatusCode;
        span?.Answered(status);
        if (answer.StatusCode != HttpStatusCode.OK)
            throw new AttemptFailedException($"the application answered {status}", status);
    }

    private async Task CallAsync(CallInvoker app, string binding, CancellationToken cancellationToken)
    {
        using var span = runtime.Loaded.Tracing?.StartInputBinding(binding, AppCallbacks.OnBindingEvent.FullName);
        var request = new BindingEventRequest { Name = binding, Metadata = { ["readTimeUTC"] = ReadTime(), ["timeZone"] = "UTC" } };
        var headers = AppCallbacks.Traced(span?.TraceParent ?? TraceParent.Continue(null, runtime.Loaded.Configuration.Tracing.RateOfNew));
        BindingEventResponse answer;
        try
        {
            answer = await app.AsyncUnaryCall(AppCallbacks.OnBindingEvent, null, new(headers, cancellationToken: cancellationToken), request);
        }
        catch (RpcException error)
        {
            span?.Fail(error.Status.Detail);
            throw;
        }

        await SendOnAsync(answer, cancellationToken);
    }

    /// <summary>The output bindings that the answer names get its data, one after the other until one fails, or all at once. What fails is logged, and is no failure of the tick.</summary>
    private async Task SendOnAsync(BindingEventResponse answer, CancellationToken cancellationToken)
    {
        var data = Json(answer.Data.Memory);
        if (answer.Concurrency == BindingEventResponse.Types.BindingEventConcurrency.Parallel)
        {
            await Task.WhenAll(answer.To.Select(SendAsync));
            return;
        }

        foreach (var binding in answer.To)
        {
            if (!await SendAsync(binding))
                return;
        }

        async Task<bool> SendAsync(string binding)
        {
            try
            {
                await OutputBindings.InvokeAsync(runtime, binding, new("create", data, new Dictionary<string, string>()), cancellationToken);
                return true;
            }
            catch (BindingException e)
            {
                runtime.Logger.LogError("{AppId} sent the answer to a tick to the output binding {Binding}, which failed: {Reason}", runtime.Options.AppId, binding, e.Message);
                return false;
            }
        }
    }

    /// <summary>Data goes the way of daprd: through Go's untyped JSON; what is none is null.</summary>
    private static byte[] Json(ReadOnlyMemory<byte> data)
    {
        try
        {
            using var json = RequestBody.Parse(data);
            return GoJson.Reencode(json.RootElement);
        }
        catch (JsonException)
        {
            return "null"u8.ToArray();
        }
    }

    private string ReadTime() => runtime.Time.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.FFFFFFF '+0000 UTC'", CultureInfo.InvariantCulture);

    private static HttpRequestMessage Request(HttpMethod method, string route) => new(method, new Uri(route, UriKind.Relative))
    {
        Content = new ByteArrayContent([]) { Headers = { ContentType = new("application/json") } },
    };
}
