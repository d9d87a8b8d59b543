using System.Net;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Api.PubSub.Targets;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Grpc.Core;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>
/// The subscriptions of one application: those of Subscription files in its scope, and those that it names itself at GET
/// /dapr/subscribe. Of two for one topic the application's own counts, of two in files the first.
/// </summary>
internal sealed class Subscriptions(SidecarRuntime runtime) : ISidecarPart
{
    private readonly List<Running> _running = [];
    private IReadOnlyList<(SubscriptionResource Subscription, PubsubSubscriptionType Type)> _known = [];
    private IReadOnlyList<SubscriptionResource>? _asked;

    /// <summary>The application's answer could not be used: as in daprd, nothing begins until it was ill and is well, or is asked again.</summary>
    private bool _startsNothing;

    private sealed record Running(SubscriptionResource Subscription, PubSubComponent Component, OpenDelivery Delivery);

    /// <summary>
    /// Makes the declared subscriptions known to brokers that keep messages, before any application runs: what is published while an
    /// application is still starting waits for it.
    /// </summary>
    /// <param name="loaded">Which may not be in use yet.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ResourceException">A rule of a declared subscription cannot be used.</exception>
    public async Task RegisterAsync(LoadedResources loaded, CancellationToken cancellationToken)
    {
        foreach (var subscription in Declared(loaded))
        {
            _ = new RouteRules(subscription);
            if (loaded.PubSubs.TryGetValue(subscription.PubSubName, out var component) && component.Scopes.MaySubscribe(subscription.Topic))
                await component.Broker.RegisterAsync(component.TopicOf(subscription), cancellationToken);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _startsNothing = false;
        return FollowAsync(cancellationToken);
    }

    /// <summary>What did not change goes on, and the application is not asked again.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        var loaded = runtime.Loaded;
        // As daprd: without a broker the application is not even asked.
        if (runtime.App is not { } app || (loaded.PubSubs.Count == 0 && _asked is null))
            return;

        // Asked once: an application that was ill keeps what it said at the start.
        if (_asked is null || !runtime.IsReady)
        {
            var answer = await AskAsync(app, cancellationToken);
            (_asked, _startsNothing) = (answer ?? [], answer is null);
        }

        _known = Merge([.. Declared(loaded)], _asked);
        if (_startsNothing)
            return;
        var wanted = _known.Select(one => one.Subscription).Select(one => (Subscription: one, Component: ComponentOf(one, loaded))).ToList();
        List<Running> outdated =
            [.. _running.Where(running => !wanted.Exists(one => ReferenceEquals(one.Component, running.Component) && IsOf(running, one.Subscription)))];
        try
        {
            foreach (var (subscription, component) in wanted)
            {
                if (component is not null && !_running.Exists(running => ReferenceEquals(running.Component, component) && IsOf(running, subscription)))
                    await AddAsync(app, component, subscription, cancellationToken);
            }
        }
        finally
        {
            // Not before: a broker that keeps nothing would lose what comes in between.
            await EndAsync(outdated, cancellationToken);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => EndAsync([.. _running], cancellationToken);

    public void Describe(GetMetadataResponse metadata)
    {
        foreach (var (subscription, type) in _known)
            metadata.Subscriptions.Add(Describe(subscription, type));
    }

    internal static PubsubSubscription Describe(SubscriptionResource subscription, PubsubSubscriptionType type)
    {
        var described = new PubsubSubscription
        {
            PubsubName = subscription.PubSubName,
            Topic = subscription.Topic,
            DeadLetterTopic = subscription.DeadLetterTopic ?? "",
            Rules = new(),
            Type = type,
        };
        described.Metadata.Add(subscription.Metadata.ToDictionary());
        described.Rules.Rules.AddRange(subscription.Rules.Select(rule => new PubsubSubscriptionRule { Match = rule.Match, Path = rule.Path }));
        return described;
    }

    private static bool IsOf(Running running, SubscriptionResource subscription) => ResourceComparison.Same(running.Subscription, subscription);

    private IEnumerable<SubscriptionResource> Declared(LoadedResources loaded) =>
        runtime.App is null ? [] : loaded.Declared.Subscriptions.DistinctBy(one => (one.PubSubName, one.Topic));

    private async Task EndAsync(IReadOnlyList<Running> ending, CancellationToken cancellationToken)
    {
        _running.RemoveAll(ending.Contains);
        await Task.WhenAll(ending.Select(running => running.Delivery.EndAsync(cancellationToken)));
    }

    /// <summary>Null, which is told, where there is none, or none that the application may subscribe to.</summary>
    private PubSubComponent? ComponentOf(SubscriptionResource subscription, LoadedResources loaded)
    {
        if (!loaded.PubSubs.TryGetValue(subscription.PubSubName, out var component))
        {
            runtime.Logger.LogError(
                "{AppId} subscribes to topic {Topic} of pubsub {PubSub}, which is no pub/sub component here",
                runtime.Options.AppId, subscription.Topic, subscription.PubSubName);
            return null;
        }

        if (component.Scopes.MaySubscribe(subscription.Topic))
            return component;
        runtime.Logger.LogError(
            "{AppId} may not subscribe to topic {Topic} of pubsub {PubSub}: its scopes do not allow it",
            runtime.Options.AppId, subscription.Topic, component.Name);
        return null;
    }

    /// <summary>A topic that the application declares itself takes the place of the file's.</summary>
    private static List<(SubscriptionResource Subscription, PubsubSubscriptionType Type)> Merge(
        IReadOnlyList<SubscriptionResource> declared, IReadOnlyList<SubscriptionResource> programmatic)
    {
        var merged = new List<(SubscriptionResource Subscription, PubsubSubscriptionType Type)>();
        foreach (var subscription in declared)
            merged.Add((subscription, PubsubSubscriptionType.Declarative));
        foreach (var own in programmatic)
        {
            var at = merged.FindIndex(one => one.Subscription.PubSubName == own.PubSubName && one.Subscription.Topic == own.Topic);
            if (at < 0)
                merged.Add((own, PubsubSubscriptionType.Programmatic));
            else
                merged[at] = (own, PubsubSubscriptionType.Programmatic);
        }

        return merged;
    }

    /// <summary>Null, which is told, where nothing came that can be used; the sidecar goes on.</summary>
    private async Task<IReadOnlyList<SubscriptionResource>?> AskAsync(AppChannel app, CancellationToken cancellationToken)
    {
        try
        {
            // For an application that hangs up on the question: it may only just be starting.
            var retries = runtime.Resiliency.ForBuiltIn("DaprBuiltInInitializationRetries");
            var answer = await retries.ExecuteAsync(
                async attempt => app.Grpc is { } grpc ? await AskGrpcAsync(grpc, attempt) : await AskOnceAsync(app, attempt), cancellationToken);
            foreach (var subscription in answer ?? [])
                _ = new RouteRules(subscription);
            return answer;
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            runtime.Logger.LogError(
                "The question of {AppId} for its subscriptions got no answer that can be used, so it gets neither its own nor those of files: {Reason}",
                runtime.Options.AppId, error.Message);
            return null;
        }
    }

    private static async Task<IReadOnlyList<SubscriptionResource>> AskGrpcAsync(CallInvoker app, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await app.AsyncUnaryCall(AppCallbacks.ListTopicSubscriptions, null, new(cancellationToken: cancellationToken), new());
            return [.. answer.Subscriptions.Select(AppSubscriptions.Read)];
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            return [];
        }
    }

    private async Task<IReadOnlyList<SubscriptionResource>?> AskOnceAsync(AppChannel app, CancellationToken cancellationToken)
    {
        using var request = app.InitRequest("/dapr/subscribe");
        using var answer = await app.SendAsync(request, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.NotFound)
            return [];
        if (answer.StatusCode != HttpStatusCode.OK)
        {
            runtime.Logger.LogError(
                "GET /dapr/subscribe of {AppId} answered {Status}: it gets no subscriptions of its own",
                runtime.Options.AppId, (int)answer.StatusCode);
            return [];
        }

        var body = await AppChannel.ReadAsync(answer, cancellationToken);
        if (body.Length == 0)
            return [];

        try
        {
            var (usable, leftOut) = AppSubscriptions.Read(body);
            foreach (var (topic, missing) in leftOut)
                runtime.Logger.LogWarning(
                    "{AppId} subscribes to topic {Topic} without a {Missing}; that subscription is left out", runtime.Options.AppId, topic, missing);
            return usable;
        }
        catch (JsonException error)
        {
            runtime.Logger.LogError(
                "GET /dapr/subscribe of {AppId} must answer a JSON list of subscriptions, so it gets neither its own nor those of files: {Reason}",
                runtime.Options.AppId, error.Message);
            return null;
        }
    }

    /// <summary>A subscription whose rules or metadata cannot be used is left out; the others go on.</summary>
    private async Task AddAsync(
        AppChannel app, PubSubComponent component, SubscriptionResource subscription, CancellationToken cancellationToken)
    {
        var givingUp = new CancellationTokenSource();
        try
        {
            var subscribed = await SubscribeAsync(app, component, subscription, givingUp.Token, cancellationToken);
            _running.Add(new(subscription, component, new(subscribed, givingUp)));
        }
        catch (Exception error) when (error is ResourceException or ApiException or ArgumentException)
        {
            runtime.Logger.LogError(
                "The subscription of {AppId} to topic {Topic} of pubsub {PubSub} cannot be used and is left out: {Reason}",
                runtime.Options.AppId, subscription.Topic, component.Name, error.Message);
        }
    }

    /// <exception cref="ResourceException">A rule cannot be used.</exception>
    /// <exception cref="ApiException">The metadata that the sidecar reads cannot be used.</exception>
    /// <exception cref="ArgumentException">The metadata that the broker's component reads cannot be used.</exception>
    private async Task<IAsyncDisposable> SubscribeAsync(
        AppChannel app, PubSubComponent component, SubscriptionResource subscription, CancellationToken stopping, CancellationToken cancellationToken)
    {
        var topic = component.TopicOf(subscription);
        IBatchTarget target = app.Grpc is { } grpc
            ? new GrpcTarget(() => runtime.Loaded.Tracing, runtime.Logger, grpc, component.Name, subscription.Topic)
            : new HttpTarget(() => runtime.Loaded.Tracing, app, component.Name, subscription.Topic);
        if (subscription.Bulk is not { Enabled: true } bulk)
        {
            var delivery = new TopicDelivery(runtime, target, component, subscription, stopping);
            return await component.Broker.SubscribeAsync(topic, (message, _) => delivery.DeliverAsync(message, stopping), cancellationToken);
        }

        var batches = new BatchDelivery(runtime, target, component, subscription, stopping);
        return component.Broker is IBulkPubSub broker
            ? await broker.SubscribeManyAsync(topic, bulk.MaxMessagesCount, (batch, _) => batches.DeliverAsync(batch, stopping), cancellationToken)
            : await GatheredBatches.SubscribeAsync(
                component.Broker, topic, bulk.MaxMessagesCount, TimeSpan.FromMilliseconds(bulk.MaxAwaitDurationMs), runtime.Time, batches.DeliverAsync,
                stopping, cancellationToken);
    }
}
