using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Who calls: what the certificate of a daprd says of it (SPIFFE).</summary>
internal readonly record struct CallerIdentity(string TrustDomain, string Namespace, string AppId)
{
    public override string ToString() => $"spiffe://{TrustDomain}/ns/{Namespace}/{AppId}";
}

/// <summary>Which calls of other applications the sidecar of the called one lets through (dapr pkg/acl).</summary>
internal sealed class AccessControlList
{
    private readonly AccessControl _rules;
    private readonly bool _isHttp;
    private readonly SidecarMetrics? _metrics;
    private readonly Dictionary<(string AppId, string Namespace), (AccessPolicy Policy, OperationTrie Operations)> _policies = [];

    /// <param name="rules">Of the called application's Configuration.</param>
    /// <param name="isHttp">It speaks HTTP: verbs count, and the case of a path does not.</param>
    /// <param name="metrics">Of the called application's sidecar, where its decisions are counted.</param>
    public AccessControlList(AccessControl rules, bool isHttp, SidecarMetrics? metrics = null)
    {
        (_rules, _isHttp, _metrics) = (rules, isHttp, metrics);
        foreach (var policy in rules.Policies)
            _policies[(policy.AppId, policy.Namespace)] = (policy, Operations(policy, isHttp));
    }

    /// <summary>Why the call is refused, in daprd's words; null where it is let through.</summary>
    /// <param name="caller">Null where daprd sees no certificate: a call that did not come through another sidecar.</param>
    /// <param name="operation">The normalized path, or the full name of a gRPC method.</param>
    /// <param name="verb">Of HTTP.</param>
    public string? Refusal(CallerIdentity? caller, string operation, string verb)
    {
        var policy = PolicyOf(caller);
        var allows = Allows(policy, operation, verb);
        // Whose default stands behind it, whether an operation has decided or not.
        _metrics?.AccessDecided(caller, byPolicy: policy?.Policy.Allows is not null, allows);
        return allows ? null : $"access control policy has denied access to id: {caller} operation: {operation} verb: {(_isHttp ? verb : "NONE")}";
    }

    public bool Allows(CallerIdentity? caller, string operation, string verb) => Allows(PolicyOf(caller), operation, verb);

    private bool Allows((AccessPolicy Policy, OperationTrie Operations)? policy, string operation, string verb)
    {
        if (policy is not { } known)
            return _rules.Allows;
        return known.Operations.Find(Named(operation, _isHttp)) is { } decides && (!_isHttp || decides.Verbs.Contains(verb) || decides.Verbs.Contains(AccessOperation.AnyVerb))
            ? decides.Allows
            : known.Policy.Allows ?? _rules.Allows;
    }

    private (AccessPolicy Policy, OperationTrie Operations)? PolicyOf(CallerIdentity? caller) =>
        caller is { } known && _policies.TryGetValue((known.AppId, known.Namespace), out var found) && found.Policy.TrustDomain == known.TrustDomain ? found : null;

    /// <summary>Those that no call comes to, and what stands in the way; null where it is the operation's own name.</summary>
    public static IEnumerable<(AccessOperation Operation, AccessOperation? HiddenBy)> Unreachable(AccessPolicy policy)
    {
        var operations = Operations(policy, isHttp: true);
        foreach (var operation in policy.Operations)
        {
            var parts = operation.Name.Split('/');
            if (parts.SkipLast(1).Contains("*"))
                yield return (operation, null);
            else if (operations.Find(Named(operation.Name, isHttp: true)) is { } found && !ReferenceEquals(found, operation))
                yield return (operation, found);
        }
    }

    private static OperationTrie Operations(AccessPolicy policy, bool isHttp)
    {
        var operations = new OperationTrie();
        foreach (var operation in policy.Operations)
            operations.Add(Named(operation.Name, isHttp), operation);
        return operations;
    }

    private static string Named(string operation, bool isHttp) => isHttp ? operation.ToLowerInvariant() : operation;
}
