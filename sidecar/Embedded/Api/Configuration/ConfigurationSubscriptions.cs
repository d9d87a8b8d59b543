using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Threading.Channels;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Components.Configuration;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Configuration;

/// <summary>
/// The subscriptions of one application to configuration stores, by their ids: those that were asked for over HTTP are told to the application by
/// POST /configuration/{store}/{key}, those over gRPC on their stream (pkg/api/http/http.go, pkg/api/grpc/grpc.go).
/// </summary>
internal sealed class ConfigurationSubscriptions(SidecarRuntime runtime)
{
    private readonly ConcurrentDictionary<string, Subscription> _open = new();

    /// <returns>The id.</returns>
    /// <exception cref="ApiException">There is no application to tell, or the store failed.</exception>
    public async Task<string> TellAppAsync(ConfigurationStoreComponent store, IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        if (runtime.App is not { } app)
        {
            throw new ApiException(
                500, StatusCode.Internal, "ERR_APP_CHANNEL_NIL", "app channel is not initialized. cannot subscribe to configuration updates");
        }

        var id = Guid.NewGuid().ToString();
        var source = new LastingSubscription<ConfigurationStoreComponent>(
            (component, token) => component.SubscribeAsync(keys, (key, entry) => PostAsync(app, store.Name, id, key, entry), token));
        await source.GoOverToAsync(store, cancellationToken);
        _open[id] = new Subscription(store.Name, source, Stream: null);
        return id;
    }

    /// <summary>The first message names the id. Returns when the client has gone, the subscription was ended, or the sidecar stops.</summary>
    /// <exception cref="ApiException">The store failed.</exception>
    public async Task StreamAsync(
        ConfigurationStoreComponent store,
        IReadOnlyCollection<string> keys,
        IServerStreamWriter<SubscribeConfigurationResponse> responses,
        CancellationToken clientGone)
    {
        var id = Guid.NewGuid().ToString();
        var changes = Channel.CreateUnbounded<SubscribeConfigurationResponse>();
        var source = new LastingSubscription<ConfigurationStoreComponent>((component, token) => component.SubscribeAsync(
            keys,
            (key, entry) =>
            {
                changes.Writer.TryWrite(new SubscribeConfigurationResponse { Id = id, Items = { [key] = ConfigurationApi.Message(entry) } });
                return Task.CompletedTask;
            },
            token));
        await source.GoOverToAsync(store, clientGone);
        _open[id] = new Subscription(store.Name, source, changes.Writer);
        try
        {
            await responses.WriteAsync(new SubscribeConfigurationResponse { Id = id }, clientGone);
            await foreach (var change in changes.Reader.ReadAllAsync(clientGone))
                await responses.WriteAsync(change, clientGone);
        }
        finally
        {
            await EndAsync(id);
        }
    }

    /// <summary>False: the store has no subscription of that id.</summary>
    public Task<bool> EndAsync(string store, string id) =>
        _open.TryGetValue(id, out var subscription) && subscription.Store == store ? EndAsync(id) : Task.FromResult(false);

    /// <summary>False: there is no stream of that id.</summary>
    public Task<bool> EndStreamAsync(string id) =>
        _open.TryGetValue(id, out var subscription) && subscription.Stream is not null ? EndAsync(id) : Task.FromResult(false);

    /// <summary>Subscriptions last when their store's component is made anew; while there is none, nothing comes by them.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        var stores = runtime.Loaded.ConfigurationStores;
        foreach (var subscription in _open.Values)
        {
            try
            {
                await subscription.Source.GoOverToAsync(stores.GetValueOrDefault(subscription.Store), cancellationToken);
            }
            catch (ApiException e)
            {
                runtime.Logger.LogError("A subscription cannot go on with the changed component {Store}: {Reason}", subscription.Store, e.Message);
            }
        }
    }

    public Task StopAsync() => Task.WhenAll(_open.Keys.Select(EndAsync));

    private async Task<bool> EndAsync(string id)
    {
        if (!_open.TryRemove(id, out var subscription))
            return false;
        await subscription.Source.DisposeAsync();
        subscription.Stream?.TryComplete();
        return true;
    }

    private async Task PostAsync(AppChannel app, string store, string id, string key, ConfigurationEntry entry)
    {
        var route = new Uri($"/configuration/{store}/{string.Join('/', key.Split('/').Select(Uri.EscapeDataString))}", UriKind.Relative);
        var body = JsonSerializer.SerializeToUtf8Bytes(
            new { id, items = new Dictionary<string, ConfigurationEntry> { [key] = entry } }, ConfigurationApi.JsonOptions);
        try
        {
            await runtime.Resiliency.ForComponentInbound(store, ComponentKind.Configuration).RunAsync(AttemptAsync, CancellationToken.None);
        }
        catch (Exception e)
        {
            runtime.Logger.LogError("{AppId} could not be told of the change of {Key} in {Store}: {Reason}", runtime.Options.AppId, key, store, e.Message);
        }

        async Task AttemptAsync(CancellationToken cancellationToken)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = new ByteArrayContent(body) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            using var answer = await app.SendAsync(request, cancellationToken);
            if (answer.StatusCode != HttpStatusCode.OK)
            {
                var status = (int)answer.StatusCode;
                throw new AttemptFailedException($"error sending configuration item to application, status {status}", status);
            }
        }
    }

    private sealed record Subscription(
        string Store, LastingSubscription<ConfigurationStoreComponent> Source, ChannelWriter<SubscribeConfigurationResponse>? Stream);
}
