using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Resiliency;

namespace EmbeddedSidecar.Resources;

/// <summary>Mistakes that only show when all files of an application's folders are seen together.</summary>
internal static class ResourceChecks
{
    public static void Check(ResourceLoader.Found found, List<ResourceError> errors)
    {
        LeaveOutWhatWaitsForASecretStore(found, errors);
        TellReplacedSubscriptions(found.Subscriptions, errors);
        TellUnknownPolicies(found, errors);
        TellUnusableOutboxes(found.Components, errors);
    }

    /// <summary>What an application gets of its folders, as daprd's loader takes it (pkg/internal/loader/disk, pkg/runtime/compstore).</summary>
    /// <param name="all">What the folders declare.</param>
    /// <param name="appId">Of the application.</param>
    /// <param name="ofApp">Its namespace.</param>
    /// <param name="errors">Hears of what is passed over, and of what keeps daprd from starting.</param>
    public static ResourceSet For(ResourceSet all, string appId, string ofApp, List<ResourceError> errors)
    {
        var components = Named(all.Components, one => (one.Name, one.Namespace, one.Scopes, one.NameLocation), "a component", out var twice);
        errors.AddRange(twice);
        RefuseSecondActorStore(components, errors);
        var endpoints = Named(all.HttpEndpoints, one => (one.Name, one.Namespace, one.Scopes, one.NameLocation), "an HTTPEndpoint", out twice);
        errors.AddRange(twice.Select(error => Lost(error.Location, $"{error.Message}; Dapr takes no HTTPEndpoint at all")));
        var subscriptions = SubscriptionsOf(all, appId);
        RefuseUnusableRules(subscriptions, errors);
        return all with
        {
            Components = components,
            Subscriptions = subscriptions,
            Resiliencies = [.. all.Resiliencies.Where(one => one.Scopes.Include(appId))],
            HttpEndpoints = twice.Count == 0 ? endpoints : [],
        };

        // One that is for others is passed over, unless its name is taken.
        List<T> Named<T>(
            IEnumerable<T> declared,
            Func<T, (string Name, string Namespace, IReadOnlyList<string> Scopes, SourceLocation Location)> read,
            string what,
            out List<ResourceError> twice)
        {
            var taken = new Dictionary<string, SourceLocation>(StringComparer.Ordinal);
            (var mine, twice) = (new List<T>(), []);
            foreach (var one in declared)
            {
                var (name, itsNamespace, scopes, location) = read(one);
                if (itsNamespace.Length > 0 && itsNamespace != ofApp && ofApp != SidecarOptions.DefaultNamespace)
                {
                    errors.Add(Lost(location, $"{what} named \"{name}\" is of the namespace \"{itsNamespace}\", and {appId} is of \"{ofApp}\"; Dapr passes over it"));
                }
                else if (taken.TryGetValue(name, out var first))
                {
                    twice.Add(new(location, $"{what} named \"{name}\" is already declared at {first}"));
                }
                else if (scopes.Include(appId))
                {
                    taken.Add(name, location);
                    mine.Add(one);
                }
            }

            return mine;
        }
    }

    /// <summary>Subscriptions of an application by which no message comes, though the application starts.</summary>
    public static IEnumerable<ResourceError> CheckSubscriptions(ResourceSet resources, string appId)
    {
        var brokers = resources.Components.Where(c => c.Type.StartsWith("pubsub.", StringComparison.OrdinalIgnoreCase)).ToList();
        var topics = new Dictionary<(string PubSub, string Topic), SourceLocation>();
        foreach (var subscription in SubscriptionsOf(resources, appId))
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

    /// <summary>Of several of one name, be it none, daprd keeps the last that is for the application.</summary>
    private static List<SubscriptionResource> SubscriptionsOf(ResourceSet all, string appId)
    {
        var mine = all.Subscriptions.Where(one => one.Scopes.Include(appId)).ToList();
        return mine.FindAll(one => ReferenceEquals(one, mine.FindLast(other => other.Name == one.Name)));
    }

    private static void RefuseSecondActorStore(List<ComponentResource> components, List<ResourceError> errors)
    {
        var stores = components.Select(component => (Component: component, Claim: ClaimToActors(component))).Where(store => store.Claim is not null).ToList();
        foreach (var (component, claim) in stores.Skip(1))
        {
            errors.Add(new(
                claim!.Location,
                $"\"{component.Name}\" sets actorStateStore, but \"{stores[0].Component.Name}\" at {stores[0].Claim!.Location} already is the actor state store"));
        }
    }

    private static MetadataItem? ClaimToActors(ComponentResource component) => component.Type.StartsWith("state.", StringComparison.OrdinalIgnoreCase)
        ? component.Metadata.FirstOrDefault(m =>
            m.Name.Equals("actorStateStore", StringComparison.OrdinalIgnoreCase) && bool.TryParse(m.Value, out var isActorStore) && isActorStore)
        : null;

    private static bool ShareAnApp(IReadOnlyList<string> scopes, IReadOnlyList<string> others) =>
        scopes.Count == 0 || others.Count == 0 || scopes.Intersect(others, StringComparer.Ordinal).Any();

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

    private static void TellReplacedSubscriptions(List<SubscriptionResource> subscriptions, List<ResourceError> errors)
    {
        foreach (var (at, replaced) in subscriptions.Index())
        {
            if (subscriptions.Skip(at + 1).FirstOrDefault(later => later.Name == replaced.Name && ShareAnApp(replaced.Scopes, later.Scopes)) is not { } later)
                continue;
            var name = replaced.Name.Length == 0 ? "a subscription without a name" : $"a subscription named \"{replaced.Name}\"";
            var whose = later.Scopes.Count == 0 ? "" : $" for {string.Join(", ", later.Scopes)}";
            errors.Add(Lost(replaced.NameLocation, $"{name} comes again at {later.NameLocation}; Dapr takes only that one{whose}"));
        }
    }

    private static void RefuseUnusableRules(IEnumerable<SubscriptionResource> subscriptions, List<ResourceError> errors)
    {
        foreach (var rule in subscriptions.SelectMany(subscription => subscription.Rules).Where(rule => rule.Match.Length > 0))
        {
            try
            {
                CelExpression.Parse(rule.Match, rule.Location);
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
            ["retries"] = Names(r => r.Retries.Keys.Concat(ResiliencyPolicies.BuiltIn.Keys)),
            ["circuitBreakers"] = Names(r => r.CircuitBreakers.Keys),
        };
        foreach (var reference in found.PolicyReferences.Where(r => !known[r.Section].Contains(r.Name)))
        {
            var names = known[reference.Section].Except(ResiliencyPolicies.BuiltIn.Keys).Order(StringComparer.Ordinal).ToList();
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
