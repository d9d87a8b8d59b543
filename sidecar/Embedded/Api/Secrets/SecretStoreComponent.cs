using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Secrets;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using Grpc.Core;
using Polly;

namespace EmbeddedSidecar.Api.Secrets;

/// <summary>A secret store as one application sees it: the Configuration may close secrets to it.</summary>
internal sealed class SecretStoreComponent(LoadedComponent component, ConfigurationResource configuration, ResiliencePipeline? policy)
{
    private readonly ISecretStore _store = (ISecretStore)component.Instance;
    private readonly SecretScope? _scope = configuration.SecretScopes.FirstOrDefault(scope => scope.StoreName == component.Name);

    public async Task<IReadOnlyDictionary<string, string>> GetAsync(string key, CancellationToken cancellationToken)
    {
        if (!MayRead(key))
        {
            throw new ApiException(
                403, StatusCode.PermissionDenied, "ERR_PERMISSION_DENIED", $"access denied by policy to get \"{key}\" from \"{component.Name}\"");
        }

        return await UnderPolicyAsync(
            token => _store.GetAsync(key, token), reason => $"failed getting secret with key {key} from secret store {component.Name}: {reason}", cancellationToken);
    }

    /// <summary>All that the application may read.</summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> GetAllAsync(CancellationToken cancellationToken)
    {
        var all = await UnderPolicyAsync(
            _store.GetAllAsync, reason => $"failed getting secrets from secret store {component.Name}: {reason}", cancellationToken);
        return all.Where(secret => MayRead(secret.Key)).ToDictionary();
    }

    private bool MayRead(string key) =>
        _scope is null
        || (_scope.AllowedSecrets.Count > 0
            ? _scope.AllowedSecrets.Contains(key)
            : !_scope.DeniedSecrets.Contains(key) && !_scope.DefaultAccess.Equals("deny", StringComparison.OrdinalIgnoreCase));

    private async Task<T> UnderPolicyAsync<T>(Func<CancellationToken, Task<T>> call, Func<string, string> describe, CancellationToken cancellationToken)
    {
        try
        {
            return await policy.RunAsync(call, cancellationToken);
        }
        catch (Exception e) when ((OptionalPolicy.WhyGivenUp(e) ?? (e as KeyNotFoundException)?.Message) is { } reason)
        {
            throw new ApiException(500, StatusCode.Internal, "ERR_SECRET_GET", describe(reason));
        }
    }
}
