using System.Diagnostics;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Configuration;
using EmbeddedSidecar.Components.Configuration.Redis;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using Grpc.Core;
using Polly;
using StackExchange.Redis;

namespace EmbeddedSidecar.Api.Configuration;

/// <summary>A configuration store as one application sees it: under its policy, failures as errors of the API.</summary>
internal sealed class ConfigurationStoreComponent(LoadedComponent component, SidecarMetrics metrics, ResiliencePipeline? policy)
{
    private readonly RedisConfigurationStore _store = (RedisConfigurationStore)component.Instance;

    public string Name => component.Name;

    internal Task<IReadOnlyDictionary<string, ConfigurationEntry>> GetAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken) =>
        CallAsync(
            "get",
            keys,
            token => _store.GetAsync(keys, token),
            reason => Failed(StatusCode.Internal, "ERR_CONFIGURATION_GET", $"failed to get {Shown(keys)} from Configuration store {Name}: {reason}"),
            cancellationToken);

    internal Task<IAsyncDisposable> SubscribeAsync(
        IReadOnlyCollection<string> keys, Func<string, ConfigurationEntry, Task> changed, CancellationToken cancellationToken) =>
        CallAsync(
            "subscribe",
            keys,
            token => _store.SubscribeAsync(keys, changed, token),
            reason => Failed(
                StatusCode.InvalidArgument, "ERR_CONFIGURATION_SUBSCRIBE", $"failed to subscribe {Shown(keys)} from Configuration store {Name}: {reason}"),
            cancellationToken);

    private async Task<T> CallAsync<T>(
        string operation,
        IReadOnlyCollection<string> keys,
        Func<CancellationToken, Task<T>> call,
        Func<string, ApiException> failed,
        CancellationToken cancellationToken)
    {
        var begun = Stopwatch.GetTimestamp();
        var success = false;
        try
        {
            var answer = await policy.RunAsync(
                async token =>
                {
                    await component.ShowAsync(operation, [.. keys], token);
                    return await call(token);
                },
                cancellationToken);
            success = true;
            return answer;
        }
        catch (Exception e) when ((OptionalPolicy.WhyGivenUp(e) ?? (e is RedisException or RedisTimeoutException or ComponentFailedException ? e.Message : null)) is { } reason)
        {
            throw failed(reason);
        }
        finally
        {
            metrics.ConfigurationUsed(Name, operation, success, Stopwatch.GetElapsedTime(begun));
        }
    }

    private static ApiException Failed(StatusCode grpc, string code, string message) => new(500, grpc, code, message) { GrpcDetails = [ApiException.Info(code)] };

    /// <summary>As Go shows a list.</summary>
    private static string Shown(IEnumerable<string> keys) => $"[{string.Join(' ', keys)}]";
}
