using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using DaprOrders.Sidecar.Formats;

namespace DaprOrders.Sidecar.Actors;

/// <summary>How a host reaches its application (the app channel).</summary>
internal interface IActorApp
{
    /// <summary>For instance <c>http://127.0.0.1:5101</c>.</summary>
    Uri Address { get; }

    Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken);
}

/// <summary>
/// The active actors of one application: gives each call its turn, passes it to the application, and deactivates what is idle
/// (dapr pkg/actors/targets/app).
/// </summary>
internal sealed partial class ActorHost(
    string appId,
    string appNamespace,
    IReadOnlyDictionary<string, ActorSettings> types,
    IActorApp app,
    TimeProvider time,
    ILogger logger)
{
    private static readonly HttpMethod Put = HttpMethod.Put;
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly MediaTypeHeaderValue Protobuf = new("application/x-protobuf");

    private readonly ConcurrentDictionary<ActorKey, ActiveActor> _active = new();

    public string AppId => appId;

    public IReadOnlyDictionary<string, ActorSettings> Types => types;

    /// <summary>Tells the replicas of an application apart; the same after a restart.</summary>
    public string Name { get; } = $"{appId}@{app.Address.Authority}";

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
            return await SendAsync(call, reentrancyId, cancellationToken);
        }
        finally
        {
            actor.Touch();
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
                        actor.Key.Type, actor.Key.Id, appId, settings.DrainTimeout);
                }
            }
            await RemoveAsync(actor, tellApp: !appGone, cancellationToken);
        }));

    /// <summary>True when something answers at the application's port, whatever it answers.</summary>
    public async Task<bool> IsAppReachableAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(app.Address, "/healthz"));
            using var response = await app.SendAsync(request, cancellationToken);
            return true;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private ActiveActor Activate(ActorKey key)
    {
        var settings = types[key.Type];
        return new ActiveActor(key, settings, time, DeactivateIdle);
    }

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
        try
        {
            using var response = await app.SendAsync(request, cancellationToken);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                logger.LogWarning("{AppId} answered {Status} to the deactivation of actor {ActorType} {ActorId}; expected 200",
                    appId, (int)response.StatusCode, actor.Type, actor.Id);
            }
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            logger.LogWarning("{AppId} could not be told that actor {ActorType} {ActorId} is deactivated: {Reason}",
                appId, actor.Type, actor.Id, e.Message);
        }
    }

    private Uri Address(ActorKey actor, string rest) =>
        new(app.Address, $"/actors/{actor.Type}/{Uri.EscapeDataString(actor.Id)}{rest}");
}
