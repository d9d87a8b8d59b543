using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using Polly;
using Polly.Timeout;

namespace EmbeddedSidecar.Actors;

/// <summary>
/// The active actors of one application: gives each call its turn, passes it to the application, and deactivates what is idle
/// (dapr pkg/actors/targets/app).
/// </summary>
internal sealed class ActorHost(
    SidecarOptions app,
    IReadOnlyDictionary<string, ActorSettings> types,
    Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send,
    Func<string, ResiliencePipeline?> turnPolicy,
    SidecarMetrics metrics,
    TimeProvider time,
    ILogger logger)
{
    private const string ReentrancyHeader = "Dapr-Reentrancy-Id";

    /// <summary>By which an SDK says that the actor's method failed, in an answer of 200; who called it reads it there.</summary>
    private const string ErrorHeader = "X-DaprErrorResponseHeader";

    /// <summary>How long an application may take over a deactivation: until then the actor's next call waits, and so does the end of the sidecar.</summary>
    private static readonly TimeSpan DeactivationLimit = TimeSpan.FromSeconds(30);

    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly MediaTypeHeaderValue Protobuf = new("application/x-protobuf");

    private readonly ConcurrentDictionary<ActorKey, ActiveActor> _active = new();

    public string AppId => app.AppId;

    public IReadOnlyDictionary<string, ActorSettings> Types => types;

    /// <summary>Tells the replicas of an application apart; the same after a restart.</summary>
    public string Name { get; } = $"{app.AppId}@{app.AppChannelAddress}:{app.AppPort}";

    public bool IsActive(ActorKey actor) => _active.ContainsKey(actor);

    /// <summary>For the metadata API: every hosted type with its active actors.</summary>
    public IEnumerable<(string Type, int Count)> Count() =>
        types.Keys.Select(type => (type, _active.Keys.Count(actor => actor.Type == type)));

    /// <param name="call">What to pass on.</param>
    /// <param name="isHere">Asked once the turn has come: false when the actor has a new host.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <exception cref="ActorClosedException">The actor was deactivated, and the application knows: look it up again.</exception>
    /// <exception cref="ActorCallException"/>
    /// <exception cref="ActorStackDepthException"/>
    public async Task<ActorReply> InvokeAsync(ActorCall call, Func<bool> isHere, CancellationToken cancellationToken)
    {
        var settings = types[call.Actor.Type];
        var reentrancyId = call.Headers is null || !settings.Reentrant ? null : ReentrancyId(call.Headers);
        var actor = _active.GetOrAdd(call.Actor, static (key, host) => host.Activate(key), this);
        Turn turn;
        try
        {
            turn = await actor.Turns.EnterAsync(reentrancyId, cancellationToken);
        }
        catch (ActorClosedException)
        {
            await actor.Gone.WaitAsync(cancellationToken);
            throw;
        }
        try
        {
            if (!isHere())
                throw new ActorClosedException();
            actor.Touch();
            return await SendAsync(call, reentrancyId, cancellationToken);
        }
        finally
        {
            actor.Turns.Leave(turn);
        }
    }

    /// <summary>
    /// Deactivates the chosen actors: waits for their running turns, at most the drain timeout, then tells the application.
    /// With <paramref name="appGone"/> it is not told.
    /// </summary>
    public Task DeactivateAsync(Func<ActorKey, bool> chosen, bool appGone, CancellationToken cancellationToken) =>
        Task.WhenAll(_active.Values.Where(actor => chosen(actor.Key)).Select(async actor =>
        {
            if (actor.Turns.Close() is not { } drained)
            {
                await actor.Gone.WaitAsync(cancellationToken);
                return;
            }
            var settings = types[actor.Key.Type];
            if (settings.DrainRebalanced && !appGone)
            {
                try
                {
                    await drained.WaitAsync(settings.DrainTimeout, time, cancellationToken);
                }
                catch (TimeoutException)
                {
                    logger.LogWarning(
                        "Actor {ActorType} {ActorId} of {AppId} is deactivated while a call runs: it took longer than the drain timeout of {DrainTimeout}",
                        actor.Key.Type, actor.Key.Id, AppId, settings.DrainTimeout);
                }
            }
            await RemoveAsync(actor, tellApp: !appGone, cancellationToken);
        }));

    /// <summary>True when something answers at the application's port, whatever it answers.</summary>
    public async Task<bool> IsAppReachableAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/healthz", UriKind.Relative));
            using var response = await send(request, cancellationToken);
            return true;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private async Task<ActorReply> SendAsync(ActorCall call, string? reentrancyId, CancellationToken cancellationToken)
    {
        var success = false;
        try
        {
            var reply = await turnPolicy(call.Actor.Type).RunAsync(attempt => SendOnceAsync(call, reentrancyId, attempt), cancellationToken);
            success = true;
            return reply;
        }
        catch (TimeoutRejectedException e)
        {
            throw new ActorCallException(ActorFailure.App, "context deadline exceeded", e);
        }
        finally
        {
            if (call.IsOfReminder)
                metrics.ReminderFired(call.Actor.Type, success);
            else if (call.IsOfTimer)
                metrics.TimerFired(call.Actor.Type, success);
        }
    }

    private async Task<ActorReply> SendOnceAsync(ActorCall call, string? reentrancyId, CancellationToken cancellationToken)
    {
        using var request = CreateRequest(call, reentrancyId);
        HttpResponseMessage? response = null;
        try
        {
            response = await send(request, cancellationToken);
            var body = await AppChannel.ReadAsync(response, cancellationToken);
            if (response.StatusCode == HttpStatusCode.OK && call.Headers is null && response.Headers.Contains(ErrorHeader))
                throw new ActorCallException(ActorFailure.App, $"error from actor service: the answer has the header {ErrorHeader}");
            if (response.StatusCode == HttpStatusCode.OK)
            {
                var reply = new ActorReply(response, body);
                response = null;
                return reply;
            }
            throw response.StatusCode == HttpStatusCode.NotFound
                ? new ActorCallException(
                    ActorFailure.NoSuchMethod, $"actor method not found: actors/{call.Actor.Type}/{call.Actor.Id}/method/{call.Method}")
                : new ActorCallException(
                    ActorFailure.App, $"error from actor service: ({(int)response.StatusCode}) {Encoding.UTF8.GetString(body)}");
        }
        catch (HttpRequestException e)
        {
            throw new ActorCallException(
                e.HttpRequestError == HttpRequestError.ConnectionError ? ActorFailure.AppGone : ActorFailure.App,
                GoNetworkError.Of(request.Method, request.RequestUri!, e),
                e);
        }
        finally
        {
            response?.Dispose();
        }
    }

    /// <summary>Always a PUT, whatever the caller's verb was.</summary>
    private HttpRequestMessage CreateRequest(ActorCall call, string? reentrancyId)
    {
        var method = Uri.EscapeDataString(call.Method).Replace("%2F", "/", StringComparison.Ordinal);
        var address = Address(call.Actor, $"/method/{method}{call.Query}");
        var request = new HttpRequestMessage(HttpMethod.Put, address) { Content = new ReadOnlyMemoryContent(call.Body) };
        if (call.Headers is null)
        {
            request.Content.Headers.ContentType = Json;
            return request;
        }

        ForwardedHeaders.CopyRequest(call.Headers, request);
        request.Headers.TryAddWithoutValidation("Dapr-Api-Call", "true");
        request.Headers.TryAddWithoutValidation("Dapr-Caller-App-Id", app.AppId);
        request.Headers.TryAddWithoutValidation("Dapr-Caller-Namespace", app.Namespace);
        if (call.IsRemoteFor(this))
            request.Headers.TryAddWithoutValidation("X-Dapr-Remote", "true");
        if (reentrancyId is not null)
        {
            request.Headers.Remove(ReentrancyHeader);
            request.Headers.TryAddWithoutValidation(ReentrancyHeader, reentrancyId);
        }
        return request;
    }

    private static string ReentrancyId(IHeaderDictionary headers) =>
        headers.TryGetValue(ReentrancyHeader, out var given) && given is [{ Length: > 0 } id, ..] ? id : Guid.NewGuid().ToString();

    private ActiveActor Activate(ActorKey key)
    {
        var settings = types[key.Type];
        return new ActiveActor(key, settings, time, DeactivateIdle);
    }

    /// <summary>One with a call that takes longer than the timeout is not idle; daprd would break the call off.</summary>
    private void DeactivateIdle(ActiveActor actor)
    {
        if (actor.Turns.TryClose())
            _ = RemoveAsync(actor, tellApp: true, CancellationToken.None);
        else
            actor.Touch();
    }

    private async Task RemoveAsync(ActiveActor actor, bool tellApp, CancellationToken cancellationToken)
    {
        try
        {
            if (tellApp)
                await TellDeactivatedAsync(actor.Key, cancellationToken);
        }
        finally
        {
            _active.TryRemove(new(actor.Key, actor));
            actor.End();
        }
    }

    private async Task TellDeactivatedAsync(ActorKey actor, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, Address(actor, ""));
        request.Content = new ByteArrayContent([]) { Headers = { ContentType = Protobuf } };
        using var limit = new CancellationTokenSource(DeactivationLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            using var response = await send(request, either.Token);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                metrics.ActorDeactivated(actor.Type);
            }
            else
            {
                logger.LogWarning("{AppId} answered {Status} to the deactivation of actor {ActorType} {ActorId}; expected 200",
                    AppId, (int)response.StatusCode, actor.Type, actor.Id);
            }
        }
        catch (Exception e)
        {
            logger.LogWarning("{AppId} could not be told that actor {ActorType} {ActorId} is deactivated: {Reason}",
                AppId, actor.Type, actor.Id, limit.IsCancellationRequested ? $"no answer within {DeactivationLimit.TotalSeconds:0} s" : e.Message);
        }
    }

    private static Uri Address(ActorKey actor, string rest) =>
        new($"/actors/{actor.Type}/{Uri.EscapeDataString(actor.Id)}{rest}", UriKind.Relative);
}
