using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using Polly;

namespace EmbeddedSidecar.Api.State;

/// <summary>
/// A state store as one application sees it: keys get the application's prefix (pkg/components/state/state_config.go), failures become errors of the API.
/// </summary>
internal sealed class StateStoreComponent
{
    private const string Separator = "||";

    private readonly string _prefix;
    private readonly SidecarMetrics _metrics;
    private readonly ResiliencePipeline? _policy;

    public StateStoreComponent(LoadedComponent component, SidecarOptions app, SidecarMetrics metrics, ResiliencePipeline? policy)
    {
        _metrics = metrics;
        _policy = policy;
        Component = component;
        Store = (IStateStore)component.Instance;
        var strategy = component.Metadata.Text(StateStoreFields.KeyPrefix, "appid").ToLowerInvariant();
        if (strategy.Contains(Separator, StringComparison.Ordinal))
        {
            throw new ResourceException(
                component.Metadata.LocationOf(StateStoreFields.KeyPrefix), $"component {component.Name}: keyPrefix '{strategy}' may not contain '{Separator}'");
        }

        _prefix = strategy switch
        {
            "none" => "",
            "name" => component.Name + Separator,
            "appid" => app.AppId + Separator,
            "namespace" when app.IsNamespaceGiven => $"{app.Namespace}.{app.AppId}{Separator}",
            "namespace" => app.AppId + Separator,
            _ => strategy + Separator,
        };
    }

    public LoadedComponent Component { get; }

    public string Name => Component.Name;

    public IStateStore Store { get; }

    /// <summary>A policy may send one call several times.</summary>
    internal bool TriesAgain => _policy is not null;

    /// <summary>Null where the component names none.</summary>
    internal Outbox? Outbox { get; set; }

    public bool IsTransactional => Store.Capabilities.Contains("TRANSACTIONAL");

    public bool IsActorStore => ComponentMetadata.IsTruthy(Component.Metadata.Text(StateStoreFields.ActorStateStore, "false"));

    /// <exception cref="ApiException">The store has no transactions.</exception>
    internal StateStoreComponent Transactional() => IsTransactional ? this : throw StateErrors.TransactionsNotSupported(Name);

    /// <summary>The key as the store knows it.</summary>
    /// <exception cref="ApiException">The key contains <c>||</c>.</exception>
    public string FullKey(string key) => IsLegal(key) ? _prefix + key : throw StateErrors.IllegalKey(Name, key);

    public static bool IsLegal(string key) => !key.Contains(Separator, StringComparison.Ordinal);

    internal async Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var fullKey = FullKey(key);
        try
        {
            return await CountAsync("get", 1, () => UnderPolicyAsync(token => Store.GetAsync(fullKey, token), cancellationToken));
        }
        catch (StateStoreException e)
        {
            throw StateErrors.Get(Name, key, e);
        }
    }

    /// <summary>In the order of the keys; fewer than keys where the store answers once what was asked for twice.</summary>
    internal async Task<IReadOnlyList<(string Key, StateEntry? Entry)>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        var fullKeys = new string[keys.Count];
        for (var i = 0; i < fullKeys.Length; i++)
            fullKeys[i] = FullKey(keys[i]);

        try
        {
            var entries = await CountAsync("bulk_get", keys.Count, () => UnderPolicyAsync(token => Store.GetManyAsync(fullKeys, token), cancellationToken));
            var answered = Store.AnswersKeysOnce ? new HashSet<string>(keys.Count) : null;
            return [.. keys.Zip(entries).Where(one => one.Second is null || answered?.Add(one.First) != false)];
        }
        catch (StateStoreException e)
        {
            throw StateErrors.GetBulk(e);
        }
    }

    internal async Task SaveAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (await WriteAsync("set", writes, cancellationToken) is { } failure)
            throw StateErrors.Save(Name, failure);
    }

    internal async Task DeleteAsync(string key, StateWrite write, CancellationToken cancellationToken)
    {
        if (await WriteAsync("delete", [write], cancellationToken) is { } failure)
            throw StateErrors.Delete(key, failure);
    }

    internal async Task DeleteManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (writes.Count > 0 && await WriteAsync("bulk_delete", writes, cancellationToken) is { } failure)
            throw StateErrors.DeleteBulk(Name, failure);
    }

    /// <param name="operations">In their order.</param>
    /// <param name="call">That asks for it: the events of an outbox are of its trace.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ApiException">The transaction failed, or its events could not be published.</exception>
    internal async Task TransactAsync(IReadOnlyList<StateOperation> operations, HttpContext call, CancellationToken cancellationToken)
    {
        if (Outbox is not null)
        {
            await Outbox.TransactAsync(operations, TraceParent.Of(call), TraceParent.StateOf(call), cancellationToken);
            return;
        }

        try
        {
            StateWrite[] writes = [.. operations.Select(operation => operation.Write)];
            Check(writes);
            await CommitAsync(writes, cancellationToken);
        }
        catch (StateStoreException e)
        {
            throw StateErrors.Transaction(e.Message);
        }
    }

    /// <exception cref="StateStoreException">One of the writes cannot be done.</exception>
    internal static void Check(IEnumerable<StateWrite> writes)
    {
        if (writes.OfType<RefusedWrite>().FirstOrDefault() is { } refused)
            throw refused.Reason;
    }

    /// <exception cref="StateStoreException">The transaction failed.</exception>
    internal async Task CommitAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (writes.Count == 0)
            return;

        await CountAsync("transaction", writes.Count, () => UnderPolicyAsync(
            async token =>
            {
                await Store.TransactAsync(writes, token);
                return true;
            },
            cancellationToken));
    }

    private async Task<StateStoreException?> WriteAsync(string operation, IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        var failure = await WriteAsync(writes, cancellationToken);
        _metrics.StateUsed(Name, operation, writes.Count, success: failure is null);
        return failure;
    }

    /// <summary>
    /// Every write stands alone. What failed comes back as one failure: a clash only where nothing but clashes failed
    /// (pkg/components/state/bulk.go).
    /// </summary>
    private async Task<StateStoreException?> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        var failures = new List<StateStoreException>();
        var valid = writes;
        if (writes.Any(write => write is RefusedWrite))
        {
            failures.AddRange(writes.OfType<RefusedWrite>().Select(write => write.Reason));
            valid = [.. writes.Where(write => write is not RefusedWrite)];
        }

        if (valid.Count > 0)
        {
            foreach (var result in await WriteUnderPolicyAsync(valid, cancellationToken))
            {
                if (result is not null)
                    failures.Add(result);
            }
        }

        if (failures.Count == 0)
            return null;

        if (writes.Count == 1)
            return failures[0];

        var texts = string.Join('\n', failures.Select(failure => failure.Message));
        return failures.Exists(failure => failure.Failure == StateFailure.Other) ? new StateStoreException(StateFailure.Other, texts)
            : failures.Exists(failure => failure.Failure == StateFailure.ETagInvalid) ? new StateStoreException(StateFailure.ETagInvalid, $"invalid etag value: {texts}")
            : StateStoreException.Mismatch(texts);
    }

    private async Task<T> CountAsync<T>(string operation, int items, Func<Task<T>> call)
    {
        var success = false;
        try
        {
            var answer = await call();
            success = true;
            return answer;
        }
        finally
        {
            _metrics.StateUsed(Name, operation, items, success);
        }
    }

    /// <summary>What the store refused is never tried again.</summary>
    private Task<IReadOnlyList<StateStoreException?>> WriteUnderPolicyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        _policy.RunManyAsync<StateWrite, StateStoreException>(
            writes, Store.WriteAsync, refusal => refusal.Failure != StateFailure.Other, error => error as StateStoreException ?? GivenUp(error), cancellationToken);

    /// <exception cref="StateStoreException">Of the store; also when the policy gave up.</exception>
    internal async Task<T> UnderPolicyAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await _policy.RunAsync(call, cancellationToken);
        }
        catch (Exception e) when (GivenUp(e) is { } givenUp)
        {
            throw givenUp;
        }
    }

    private static StateStoreException? GivenUp(Exception error) =>
        OptionalPolicy.WhyGivenUp(error) is { } reason ? new StateStoreException(StateFailure.Other, reason, error) : null;
}

/// <summary>A write whose options or metadata cannot be read: it fails by itself, beside others that are done.</summary>
internal sealed record RefusedWrite(string Key, StateStoreException Reason) : StateWrite(Key, null, false);
