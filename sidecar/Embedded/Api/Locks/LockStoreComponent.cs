using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Locks.Redis;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;
using Polly;
using StackExchange.Redis;

namespace EmbeddedSidecar.Api.Locks;

/// <summary>A lock store as one application sees it: resources get the application's prefix (pkg/components/lock/lock_config.go).</summary>
internal sealed class LockStoreComponent
{
    private const string Separator = "||";

    private readonly string _prefix;
    private readonly LoadedComponent _component;
    private readonly RedisLockStore _store;
    private readonly ResiliencePipeline? _policy;

    public LockStoreComponent(LoadedComponent component, SidecarOptions app, ResiliencePipeline? policy)
    {
        _component = component;
        _store = (RedisLockStore)component.Instance;
        _policy = policy;
        var strategy = component.Metadata.Text(RedisLockStore.KeyPrefix, "appid").ToLowerInvariant();
        if (strategy.Contains(Separator, StringComparison.Ordinal))
        {
            throw new ResourceException(
                component.Metadata.LocationOf(RedisLockStore.KeyPrefix), $"component {component.Name}: keyPrefix '{strategy}' may not contain '{Separator}'");
        }

        _prefix = "lock" + Separator + strategy switch
        {
            "none" => "",
            "name" => component.Name + Separator,
            "appid" => app.AppId + Separator,
            _ => strategy + Separator,
        };
    }

    /// <exception cref="ApiException">The resource cannot be a key, or the store failed.</exception>
    internal Task<bool> TryLockAsync(string resource, string owner, TimeSpan expiry, CancellationToken cancellationToken) => CallAsync(
        "try_lock", resource, (key, token) => _store.TryLockAsync(key, owner, expiry, token), "ERR_TRY_LOCK", "failed to try acquiring lock", cancellationToken);

    /// <exception cref="ApiException">The resource cannot be a key, or the store failed.</exception>
    internal Task<UnlockResult> UnlockAsync(string resource, string owner, CancellationToken cancellationToken) => CallAsync(
        "unlock", resource, (key, token) => _store.UnlockAsync(key, owner, token), "ERR_UNLOCK", "failed to release lock", cancellationToken);

    private async Task<T> CallAsync<T>(
        string operation, string resource, Func<string, CancellationToken, Task<T>> call, string code, string problem, CancellationToken cancellationToken)
    {
        try
        {
            if (resource.Contains(Separator, StringComparison.Ordinal))
                throw Failed($"input key/keyPrefix '{resource}' can't contain '{Separator}'");

            var key = _prefix + resource;
            return await _policy.RunAsync(
                async token =>
                {
                    await _component.ShowAsync(operation, [key], token);
                    return await call(key, token);
                },
                cancellationToken);
        }
        catch (Exception e) when ((OptionalPolicy.WhyGivenUp(e) ?? (e is RedisException or RedisTimeoutException or ComponentFailedException ? e.Message : null)) is { } reason)
        {
            throw Failed(reason);
        }

        ApiException Failed(string reason) => new(500, StatusCode.Internal, code, $"{problem}: {reason}");
    }
}
