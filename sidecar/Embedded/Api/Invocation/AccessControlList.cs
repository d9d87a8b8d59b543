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
    private readonly Dictionary<(string AppId, string Namespace), (AccessPolicy Policy, OperationTrie Operations)> _policies = [];

    /// <param name="rules">Of the called application's Configuration.</param>
    /// <param name="isHttp">It speaks HTTP: verbs count, and the case of a path does not.</param>
    public AccessControlList(AccessControl rules, bool isHttp)
    {
        (_rules, _isHttp) = (rules, isHttp);
        foreach (var policy in rules.Policies)
            _policies[(policy.AppId, policy.Namespace)] = (policy, Operations(policy, isHttp));
    }

    /// <summary>Why the call is refused, in daprd's words; null where it is let through.</summary>
    /// <param name="caller">Null where daprd sees no certificate: a call that did not come through another sidecar.</param>
    /// <param name="operation">The normalized path, or the full name of a gRPC method.</param>
    /// <param name="verb">Of HTTP.</param>
    public string? Refusal(CallerIdentity? caller, string operation, string verb) => Allows(caller, operation, verb)
        ? null
        : $"access control policy has denied access to id: {caller} operation: {operation} verb: {(_isHttp ? verb : "NONE")}";

    public bool Allows(CallerIdentity? caller, string operation, string verb)
    {
        if (caller is not { } known || !_policies.TryGetValue((known.AppId, known.Namespace), out var found) || found.Policy.TrustDomain != known.TrustDomain)
            return _rules.Allows;
        return found.Operations.Find(Named(operation, _isHttp)) is { } decides && (!_isHttp || decides.Verbs.Contains(verb) || decides.Verbs.Contains(AccessOperation.AnyVerb))
            ? decides.Allows
            : found.Policy.Allows ?? _rules.Allows;
    }

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
