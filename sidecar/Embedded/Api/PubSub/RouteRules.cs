using System.Text.Json;
using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>Where the events of a subscription go: the first rule that holds wins; one without an expression always does.</summary>
internal sealed class RouteRules
{
    private readonly IReadOnlyList<(CelExpression? Match, string Path)> _rules;

    /// <exception cref="ResourceException">A rule's expression cannot be used.</exception>
    public RouteRules(SubscriptionResource subscription) =>
        _rules = [.. subscription.Rules.Select(rule => (rule.Match.Length == 0 ? null : CelExpression.Parse(rule.Match, rule.Location == default ? subscription.Location : rule.Location), rule.Path))];

    /// <summary>Null when no rule holds.</summary>
    /// <exception cref="CelException">A rule before the one that would have held cannot be evaluated.</exception>
    public string? PathFor(ReadOnlyMemory<byte> cloudEvent)
    {
        if (_rules is [(null, var only), ..])
            return only;

        using var json = JsonDocument.Parse(cloudEvent, GoJson.DocumentOptions);
        var variables = new Dictionary<string, object?> { ["event"] = json.RootElement };
        foreach (var (match, path) in _rules)
        {
            if (match is null || match.Matches(variables))
                return path;
        }

        return null;
    }
}
