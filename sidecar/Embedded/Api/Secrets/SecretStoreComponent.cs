using System.Diagnostics;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Secrets;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using Grpc.Core;
using Polly;

namespace EmbeddedSidecar.Api.Secrets;

/// <summary>A secret store as one application sees it: the Configuration may close secrets to it.</summary>
internal sealed class SecretStoreComponent(
    LoadedComponent component, ConfigurationResource configuration, SidecarMetrics metrics, ResiliencePipeline? policy)
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

        return await CallAsync(
            "get", [key], token => _store.GetAsync(key, token), reason => $"failed getting secret with key {key} from secret store {component.Name}: {reason}", cancellationToken);
    }

    /// <summary>All that the application may read.</summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> GetAllAsync(CancellationToken cancellationToken)
    {
        var all = await CallAsync(
            "bulk_get", [], _store.GetAllAsync, reason => $"failed getting secrets from secret store {component.Name}: {reason}", cancellationToken);
        return all.Where(secret => MayRead(secret.Key)).ToDictionary();
    }

    private bool MayRead(string key) =>
        _scope is null
        || (_scope.AllowedSecrets.Count > 0
            ? _scope.AllowedSecrets.Contains(key)
            : !_scope.DeniedSecrets.Contains(key) && !_scope.DefaultAccess.Equals("deny", StringComparison.OrdinalIgnoreCase));

    private async Task<T> CallAsync<T>(
        string operation, IReadOnlyList<string> keys, Func<CancellationToken, Task<T>> call, Func<string, string> describe, CancellationToken cancellationToken)
    {
        var begun = Stopwatch.GetTimestamp();
        var success = false;
        try
        {
            var answer = await policy.RunAsync(
                async token =>
                {
                    await component.ShowAsync(operation, keys, token);
                    return await call(token);
                },
                cancellationToken);
            success = true;
            return answer;
        }
        catch (Exception e) when ((OptionalPolicy.WhyGivenUp(e) ?? (e is KeyNotFoundException or ComponentFailedException ? e.Message : null)) is { } reason)
        {
            throw new ApiException(500, StatusCode.Internal, "ERR_SECRET_GET", describe(reason));
        }
        finally
        {
            metrics.SecretsRead(component.Name, operation, success, Stopwatch.GetElapsedTime(begun));
        }
    }
}
