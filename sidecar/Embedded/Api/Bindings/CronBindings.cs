using System.Globalization;
using System.Net;
using Dapr.AppCallback.Autogen.Grpc.v1;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings.Cron;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Bindings;

/// <summary>
/// The cron input bindings of an application: a POST to the route of each at its times. An application that does not want one answers
/// OPTIONS on the route with 404 or 405, unless the component says <c>direction: input</c>.
/// </summary>
internal sealed class CronBindings(SidecarRuntime runtime) : ISidecarPart
{
    private readonly List<Task> _running = [];
    private CancellationTokenSource _stopping = new();

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (runtime.App is not { } app)
            return;
        _stopping = new();
        var bindings = runtime.Components.Where(component => component.Instance is CronSchedule).ToList();
        if (bindings.Count > 0 && app.Grpc is { } grpc)
        {
            var wanted = await ListAsync(grpc, cancellationToken);
            foreach (var component in bindings.Where(component => wanted.Contains(component.Name)))
                _running.Add(TickAsync(component, attempt => CallAsync(grpc, component.Name, attempt), _stopping.Token));
            return;
        }

        foreach (var component in bindings)
        {
            var route = "/" + component.Metadata.Text(CronSchedule.Route, component.Name).TrimStart('/');
            if (await IsWantedAsync(app, component, route, cancellationToken))
                _running.Add(TickAsync(component, attempt => PostAsync(app, route, attempt), _stopping.Token));
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_running).WaitAsync(cancellationToken);
        _running.Clear();
    }

    private async Task<bool> IsWantedAsync(AppChannel app, LoadedComponent component, string route, CancellationToken cancellationToken)
    {
        if (component.Metadata.Text(CronSchedule.Direction) is { Length: > 0 } direction)
            return direction.Contains("input", StringComparison.OrdinalIgnoreCase);
        try
        {
            using var request = Request(HttpMethod.Options, route);
            using var answer = await app.SendAsync(request, cancellationToken);
            if (answer.StatusCode is not (HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed))
                return true;
            runtime.Logger.LogInformation("{AppId} does not want the binding {Binding}: OPTIONS {Route} answered {Status}",
                runtime.Options.AppId, component.Name, route, (int)answer.StatusCode);
        }
        catch (HttpRequestException e)
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
        try
        {
            for (var due = schedule.Next(runtime.Time.GetUtcNow()); due is not null; due = schedule.Next(Later(due.Value, runtime.Time.GetUtcNow())))
            {
                await runtime.Time.WaitUntilAsync(due.Value, cancellationToken);
                await CallAsync(component.Name, call, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The sidecar stops, or the application is not healthy.
        }
    }

    /// <summary>Keeps the rhythm unless a call took longer than that.</summary>
    private static DateTimeOffset Later(DateTimeOffset due, DateTimeOffset now) => now - due > TimeSpan.FromSeconds(1) ? now : due;

    private async Task CallAsync(string binding, Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        try
        {
            if (runtime.Resiliency.ForComponentInbound(binding, ComponentKind.Binding) is { } policy)
                await policy.ExecuteAsync(async attempt => await call(attempt), cancellationToken);
            else
                await call(cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            runtime.Logger.LogWarning("{AppId} failed the tick of binding {Binding}: {Reason}", runtime.Options.AppId, binding, e.Message);
        }
    }

    private async Task PostAsync(AppChannel app, string route, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Post, route);
        request.Headers.TryAddWithoutValidation("traceparent", TraceParent.Continue(null));
        request.Headers.TryAddWithoutValidation("readTimeUTC", ReadTime());
        request.Headers.TryAddWithoutValidation("timeZone", "UTC");
        using var answer = await app.SendAsync(request, cancellationToken);
        var status = (int)answer.StatusCode;
        if (status is < 200 or >= 300)
            throw new AttemptFailedException($"the application answered {status}", status);
    }

    private async Task CallAsync(CallInvoker app, string binding, CancellationToken cancellationToken)
    {
        var request = new BindingEventRequest { Name = binding, Metadata = { ["readTimeUTC"] = ReadTime(), ["timeZone"] = "UTC" } };
        await app.AsyncUnaryCall(AppCallbacks.OnBindingEvent, null, new(AppCallbacks.Traced(TraceParent.Continue(null)), cancellationToken: cancellationToken), request);
    }

    private string ReadTime() => runtime.Time.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.FFFFFFF '+0000 UTC'", CultureInfo.InvariantCulture);

    private static HttpRequestMessage Request(HttpMethod method, string route) => new(method, new Uri(route, UriKind.Relative))
    {
        Content = new ByteArrayContent([]) { Headers = { ContentType = new("application/json") } },
    };
}
