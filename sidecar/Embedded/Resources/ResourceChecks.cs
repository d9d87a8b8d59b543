using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Resiliency;

namespace EmbeddedSidecar.Resources;

/// <summary>Mistakes that only show when all files of an application's folders are seen together.</summary>
internal static class ResourceChecks
{
    public static void Check(ResourceLoader.Found found, List<ResourceError> errors)
    {
        RefuseDuplicates("component", found.Components.Select(c => (c.Name, c.NameLocation)), errors);
        RefuseDuplicates("HTTPEndpoint", found.HttpEndpoints.Select(e => (e.Name, e.NameLocation)), errors);
        RefuseSecondActorStore(found.Components, errors);
        LeaveOutWhatWaitsForASecretStore(found, errors);
        LeaveOutReplacedSubscriptions(found.Subscriptions, errors);
        TellUnknownPolicies(found, errors);
        TellUnusableOutboxes(found.Components, errors);
        RefuseUnusableExpressions(found, errors);
    }

    /// <summary>Subscriptions of an application by which no message comes, though the application starts.</summary>
    public static IEnumerable<ResourceError> CheckSubscriptions(ResourceSet resources, string appId)
    {
        var brokers = resources.Components.Where(c => c.Type.StartsWith("pubsub.", StringComparison.OrdinalIgnoreCase)).ToList();
        var topics = new Dictionary<(string PubSub, string Topic), SourceLocation>();
        foreach (var subscription in resources.Subscriptions.Where(s => s.Scopes.Include(appId)))
        {
            if (!topics.TryAdd((subscription.PubSubName, subscription.Topic), subscription.TopicLocation))
            {
                var first = topics[(subscription.PubSubName, subscription.Topic)];
                yield return Lost(subscription.TopicLocation, $"spec.topic: {appId} subscribes \"{subscription.Topic}\" at {first} already; Dapr takes only that subscription");
            }

            // One without scopes may well be meant for the applications that see the broker, and not for this one.
            var (candidates, whose) = subscription.Scopes.Count == 0 ? (brokers, "") : (brokers.FindAll(b => b.Scopes.Include(appId)), $" that {appId} may use");
            if (candidates.Exists(b => b.Name == subscription.PubSubName))
                continue;
            var names = candidates.Select(b => b.Name).Distinct().Order(StringComparer.Ordinal).ToList();
            yield return Lost(
                subscription.PubSubLocation,
                $"spec.pubsubname: expected one of the pub/sub components{whose}, {Choice(names)}; got \"{subscription.PubSubName}\", and Dapr delivers nothing by this subscription");
        }
    }

    private static ResourceError Lost(SourceLocation location, string message) => new(location, message) { IsWarning = true };

    private static void RefuseDuplicates(string what, IEnumerable<(string Name, SourceLocation Location)> named, List<ResourceError> errors)
    {
        foreach (var group in named.GroupBy(n => n.Name, StringComparer.Ordinal))
        {
            foreach (var (name, location) in group.Skip(1))
                errors.Add(new(location, $"a {what} named \"{name}\" is already declared at {group.First().Location}"));
        }
    }

    private static void RefuseSecondActorStore(List<ComponentResource> components, List<ResourceError> errors)
    {
        var stores = components.Select(component => (Component: component, Claim: ClaimToActors(component))).Where(store => store.Claim is not null).ToList();
        for (var i = 1; i < stores.Count; i++)
        {
            if (stores.Take(i).FirstOrDefault(s => ShareAnApp(s.Component, stores[i].Component)) is { Claim: not null } first)
            {
                errors.Add(new(
                    stores[i].Claim!.Location,
                    $"\"{stores[i].Component.Name}\" sets actorStateStore, but \"{first.Component.Name}\" at {first.Claim.Location} already is the actor state store"));
            }
        }
    }

    private static MetadataItem? ClaimToActors(ComponentResource component) => component.Type.StartsWith("state.", StringComparison.OrdinalIgnoreCase)
        ? component.Metadata.FirstOrDefault(m =>
            m.Name.Equals("actorStateStore", StringComparison.OrdinalIgnoreCase) && bool.TryParse(m.Value, out var isActorStore) && isActorStore)
        : null;

    private static bool ShareAnApp(ComponentResource a, ComponentResource b) =>
        a.Scopes.Count == 0 || b.Scopes.Count == 0 || a.Scopes.Intersect(b.Scopes, StringComparer.Ordinal).Any();

    /// <summary>daprd keeps them back until the store is there, and starts without.</summary>
    private static void LeaveOutWhatWaitsForASecretStore(ResourceLoader.Found found, List<ResourceError> errors)
    {
        var stores = found.Components.Where(c => c.Type.StartsWith("secretstores.", StringComparison.OrdinalIgnoreCase))
            .Select(c => c.Name).ToHashSet(StringComparer.Ordinal);
        found.Components.RemoveAll(component => Waits(component.SecretStore, component.Metadata, $"component \"{component.Name}\"", component.SecretStoreLocation));
        found.HttpEndpoints.RemoveAll(endpoint => Waits(endpoint.SecretStore, endpoint.Headers, $"HTTPEndpoint \"{endpoint.Name}\"", endpoint.SecretStoreLocation));

        bool Waits(string? store, IReadOnlyList<MetadataItem> items, string what, SourceLocation location)
        {
            if (store is null || stores.Contains(store))
                return false;
            var waits = items.Any(item => item.Secret is not null);
            var without = waits ? $"; Dapr leaves {what} out" : "";
            errors.Add(new(location, $"auth.secretStore: expected the name of a secret store component of these folders, got \"{store}\"{without}") { IsWarning = true });
            return waits;
        }
    }

    /// <summary>Of several subscriptions of one name daprd keeps the last.</summary>
    private static void LeaveOutReplacedSubscriptions(List<SubscriptionResource> subscriptions, List<ResourceError> errors)
    {
        foreach (var group in subscriptions.Where(s => s.Name.Length > 0).GroupBy(s => s.Name, StringComparer.Ordinal).ToList())
        {
            foreach (var replaced in group.SkipLast(1))
            {
                subscriptions.Remove(replaced);
                errors.Add(Lost(replaced.NameLocation, $"a subscription named \"{replaced.Name}\" comes again at {group.Last().NameLocation}; Dapr takes only that one"));
            }
        }
    }

    /// <summary>Routing rules, and what trips a breaker.</summary>
    private static void RefuseUnusableExpressions(ResourceLoader.Found found, List<ResourceError> errors)
    {
        var rules = found.Subscriptions.SelectMany(subscription => subscription.Rules
            .Where(rule => rule.Match.Length > 0).Select(rule => (Action)(() => CelExpression.Parse(rule.Match, rule.Location))));
        var trips = found.Resiliencies.SelectMany(resource => resource.CircuitBreakers.Values
            .Select(breaker => (Action)(() => ResiliencyPolicies.ParseTrip(breaker.Trip, breaker.TripLocation))));
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

    /// <summary>daprd runs without a missing policy: no retries, so a message that fails once is lost.</summary>
    private static void TellUnknownPolicies(ResourceLoader.Found found, List<ResourceError> errors)
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
            var problem = reference.Map.Problem(
                $"expected one of spec.policies.{reference.Section}, {Choice(names)}; got \"{reference.Name}\", and Dapr runs without a {reference.Field} here", reference.Field);
            errors.Add(problem with { IsWarning = true });
        }

        HashSet<string> Names(Func<ResiliencyResource, IEnumerable<string>> of) =>
            found.Resiliencies.SelectMany(of).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>daprd starts with an outbox that is described by half, and has none; and with one whose broker is not there, and refuses its transactions.</summary>
    private static void TellUnusableOutboxes(List<ComponentResource> components, List<ResourceError> errors)
    {
        var brokers = components.Where(c => c.Type.StartsWith("pubsub.", StringComparison.OrdinalIgnoreCase))
            .Select(c => c.Name).Distinct().Order(StringComparer.Ordinal).ToList();
        foreach (var store in components.Where(c => c.Type.StartsWith("state.", StringComparison.OrdinalIgnoreCase)))
        {
            var (broker, topic) = (Find(StateStoreFields.OutboxPublishPubSub), Find(StateStoreFields.OutboxPublishTopic));
            if ((broker ?? topic) is { } one && (broker is null || topic is null))
            {
                var missing = broker is null ? StateStoreFields.OutboxPublishPubSub : StateStoreFields.OutboxPublishTopic;
                Tell(one, $"expected {missing} beside {one.Name}; Dapr has no outbox without both");
            }

            foreach (var named in new[] { broker, Find(StateStoreFields.OutboxPubSub) })
            {
                if (named?.Value is { } name && !brokers.Contains(name))
                {
                    Tell(
                        named,
                        $"{named.Name}: expected one of the pub/sub components, {Choice(brokers)}; got \"{name}\", and Dapr publishes no event of the outbox");
                }
            }

            MetadataItem? Find(string field)
            {
                var item = store.Metadata.FirstOrDefault(item => item.Name.Equals(field, StringComparison.OrdinalIgnoreCase));
                if (item is not null && item.Name != field)
                    Tell(item, $"expected {field}, got {item.Name}: Dapr minds the case of this field, and passes over it");
                return item;
            }

            void Tell(MetadataItem item, string problem) => errors.Add(new(item.Location, $"component \"{store.Name}\": {problem}") { IsWarning = true });
        }
    }

    private static string Choice(List<string> names) => names.Count == 0 ? "but there are none" : $"which are {string.Join(", ", names)}";
}
