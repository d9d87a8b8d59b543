using DaprOrders.Sidecar.Expressions;
using DaprOrders.Sidecar.Resiliency;

namespace DaprOrders.Sidecar.Resources;

/// <summary>Mistakes that only show when all files of an application's folders are seen together.</summary>
internal static class ResourceChecks
{
    public static void Check(ResourceLoader.Found found, List<ResourceError> errors)
    {
        RefuseDuplicates("component", found.Components.Select(c => (c.Name, c.Location)), errors);
        RefuseDuplicates("HTTPEndpoint", found.HttpEndpoints.Select(e => (e.Name, e.Location)), errors);
        RefuseSecondActorStore(found.Components, errors);
        RefuseUnknownSecretStores(found, errors);
        RefuseUnknownPolicies(found);
        RefuseUnusableExpressions(found, errors);
    }

    /// <summary>Subscriptions of an application to a pub/sub that it cannot see: daprd only logs them, and their messages never come.</summary>
    public static IEnumerable<ResourceError> CheckSubscriptions(ResourceSet resources, string appId)
    {
        var brokers = resources.Components.Where(c => c.Type.StartsWith("pubsub.", StringComparison.OrdinalIgnoreCase)).ToList();
        foreach (var subscription in resources.Subscriptions.Where(s => s.Scopes.Include(appId)))
        {
            // One without scopes may well be meant for the applications that see the broker, and not for this one.
            var (candidates, whose) = subscription.Scopes.Count == 0 ? (brokers, "") : (brokers.FindAll(b => b.Scopes.Include(appId)), $" that {appId} may use");
            if (candidates.Exists(b => b.Name == subscription.PubSubName))
                continue;
            var names = candidates.Select(b => b.Name).Distinct().Order(StringComparer.Ordinal).ToList();
            yield return new(
                subscription.Location, $"spec.pubsubname: expected one of the pub/sub components{whose}, {Choice(names)}; got \"{subscription.PubSubName}\"");
        }
    }

    private static void RefuseDuplicates(string what, IEnumerable<(string Name, SourceLocation Location)> named, List<ResourceError> errors)
    {
        foreach (var group in named.Where(n => n.Name.Length > 0).GroupBy(n => n.Name, StringComparer.Ordinal))
        {
            foreach (var (name, location) in group.Skip(1))
                errors.Add(new(location, $"a {what} named \"{name}\" is already declared at {group.First().Location}"));
        }
    }

    private static void RefuseSecondActorStore(List<ComponentResource> components, List<ResourceError> errors)
    {
        var stores = components.Where(IsActorStore).ToList();
        for (var i = 1; i < stores.Count; i++)
        {
            if (stores.Take(i).FirstOrDefault(s => ShareAnApp(s, stores[i])) is { } first)
            {
                errors.Add(new(
                    stores[i].Location,
                    $"\"{stores[i].Name}\" sets actorStateStore, but \"{first.Name}\" at {first.Location} already is the actor state store"));
            }
        }
    }

    private static bool IsActorStore(ComponentResource component) =>
        component.Type.StartsWith("state.", StringComparison.OrdinalIgnoreCase)
        && component.Metadata.Any(m => m.Name.Equals("actorStateStore", StringComparison.OrdinalIgnoreCase)
            && bool.TryParse(m.Value, out var isActorStore) && isActorStore);

    private static bool ShareAnApp(ComponentResource a, ComponentResource b) =>
        a.Scopes.Count == 0 || b.Scopes.Count == 0 || a.Scopes.Intersect(b.Scopes, StringComparer.Ordinal).Any();

    private static void RefuseUnknownSecretStores(ResourceLoader.Found found, List<ResourceError> errors)
    {
        var stores = found.Components.Where(c => c.Type.StartsWith("secretstores.", StringComparison.OrdinalIgnoreCase))
            .Select(c => c.Name).ToHashSet(StringComparer.Ordinal);
        var uses = found.Components.Select(c => (c.SecretStore, c.Location)).Concat(found.HttpEndpoints.Select(e => (e.SecretStore, e.Location)));
        foreach (var (store, location) in uses.Where(u => !string.IsNullOrEmpty(u.SecretStore) && !stores.Contains(u.SecretStore)))
            errors.Add(new(location, $"auth.secretStore: expected the name of a secret store component of these folders, got \"{store}\""));
    }

    /// <summary>Routing rules, and what trips a breaker.</summary>
    private static void RefuseUnusableExpressions(ResourceLoader.Found found, List<ResourceError> errors)
    {
        var rules = found.Subscriptions.SelectMany(subscription => subscription.Rules
            .Where(rule => rule.Match.Length > 0).Select(rule => (Action)(() => CelExpression.Parse(rule.Match, subscription.Location))));
        var trips = found.Resiliencies.SelectMany(resource => resource.CircuitBreakers.Values
            .Select(breaker => (Action)(() => ResiliencyPolicies.ParseTrip(breaker.Trip, resource.Location))));
        foreach (var check in rules.Concat(trips))
        {
            try
            {
                check();
            }
            catch (ResourceException error)
            {
                errors.AddRange(error.Errors);
            }
        }
    }

    /// <summary>daprd runs with a missing policy: no retries, so a message that fails once is lost.</summary>
    private static void RefuseUnknownPolicies(ResourceLoader.Found found)
    {
        var known = new Dictionary<string, HashSet<string>>(StringComparer.Ordinal)
        {
            ["timeouts"] = Names(r => r.Timeouts.Keys),
            ["retries"] = Names(r => r.Retries.Keys.Concat(ResiliencyReader.BuiltInRetries)),
            ["circuitBreakers"] = Names(r => r.CircuitBreakers.Keys),
        };
        foreach (var reference in found.PolicyReferences.Where(r => !known[r.Section].Contains(r.Name)))
        {
            var names = known[reference.Section].Except(ResiliencyReader.BuiltInRetries).Order(StringComparer.Ordinal).ToList();
            reference.Map.Error($"expected one of spec.policies.{reference.Section}, {Choice(names)}; got \"{reference.Name}\"", reference.Field);
        }

        HashSet<string> Names(Func<ResiliencyResource, IEnumerable<string>> of) =>
            found.Resiliencies.SelectMany(of).ToHashSet(StringComparer.Ordinal);
    }

    private static string Choice(List<string> names) => names.Count == 0 ? "but there are none" : $"which are {string.Join(", ", names)}";
}
