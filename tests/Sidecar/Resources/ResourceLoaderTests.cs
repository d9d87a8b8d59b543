using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

public sealed class ResourceLoaderTests
{
    [Fact]
    public void A_component_is_read_with_its_metadata_scopes_and_place()
    {
        using var folder = new ResourceFolder().With("redis.yaml", """
            # The state store.
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: statestore
              namespace: default
            spec:
              type: state.redis
              version: v1
              initTimeout: 10s
              ignoreErrors: true
              metadata:
              - name: redisHost
                value: localhost:6379
              - name: redisDB
                value: 3
              - name: redisPassword
                secretKeyRef: {name: redis, key: password}
              - name: redisUsername
                envRef: REDIS_USER
              - name: keyPrefix
                value: ""
            auth:
              secretStore: secrets
            scopes: [ordering, payments]
            ---
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: secrets}
            spec: {type: secretstores.local.env, version: v1, metadata: }
            """);

        var resources = ResourceLoader.Load([folder.Path]);

        Assert.Equal(["statestore", "secrets"], resources.Components.Select(c => c.Name));
        var store = resources.Components[0];
        Assert.Equal(("state.redis", "v1", true, TimeSpan.FromSeconds(10), "secrets"), (store.Type, store.Version, store.IgnoreErrors, store.InitTimeout, store.SecretStore));
        Assert.Equal(["ordering", "payments"], store.Scopes);
        Assert.Equal(2, store.Location.Line);
        Assert.Equal(
            [
                ("redisHost", "localhost:6379", null, null, 13),
                ("redisDB", "3", null, null, 15),
                ("redisPassword", null, new SecretKeyRef("redis", "password"), null, 17),
                ("redisUsername", null, null, "REDIS_USER", 19),
                ("keyPrefix", "", null, null, 21),
            ],
            store.Metadata.Select(m => (m.Name, m.Value, m.Secret, m.EnvironmentVariable, m.Location.Line)));
    }

    [Fact]
    public void Both_versions_of_a_subscription_are_read()
    {
        using var folder = new ResourceFolder().With("subscriptions.yaml", """
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: routed}
            spec:
              pubsubname: pubsub
              topic: orders
              routes:
                rules:
                - match: event.type == "created"
                  path: /created
                default: /other
              deadLetterTopic: poison
              metadata: {rawPayload: true}
              bulkSubscribe: {enabled: true, maxMessagesCount: 10}
            scopes: [ordering]
            ---
            apiVersion: dapr.io/v1alpha1
            kind: Subscription
            metadata: {name: plain}
            spec: {pubsubname: pubsub, topic: stock, route: /stock}
            """);

        var subscriptions = ResourceLoader.Load([folder.Path]).Subscriptions;

        Assert.Equal([new RouteRule("event.type == \"created\"", "/created"), new RouteRule("", "/other")], subscriptions[0].Rules);
        Assert.Equal(new BulkSubscribe(true, 10, 1000), subscriptions[0].Bulk);
        Assert.Equal(("poison", "true"), (subscriptions[0].DeadLetterTopic, subscriptions[0].Metadata["rawPayload"]));
        Assert.Equal([new RouteRule("", "/stock")], subscriptions[1].Rules);
        Assert.Null(subscriptions[1].Bulk);
    }

    [Fact]
    public void Resiliency_policies_have_the_defaults_of_dapr()
    {
        using var folder = new ResourceFolder().With("resiliency.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies:
                timeouts: {fast: 500, slow: 1m30s}
                retries:
                  plain: {}
                  full: {policy: Exponential, maxInterval: 15s, maxRetries: 3, matching: {httpStatusCodes: "429,500-599"}}
                circuitBreakers:
                  cb: {}
              targets:
                apps: {billing: {timeout: fast, retry: DaprBuiltInServiceRetries, circuitBreaker: cb}}
                actors: {Cart: {retry: plain}}
                components: {pubsub: {inbound: {retry: full, timeout: slow}}}
            """);

        var resiliency = Assert.Single(ResourceLoader.Load([folder.Path]).Resiliencies);

        Assert.Equal(TimeSpan.FromMilliseconds(500), resiliency.Timeouts["fast"]);
        Assert.Equal(TimeSpan.FromSeconds(90), resiliency.Timeouts["slow"]);
        Assert.Equivalent(new RetryPolicy(RetryPolicyKind.Constant, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(60), -1, [], []), resiliency.Retries["plain"]);
        Assert.Equal((RetryPolicyKind.Exponential, TimeSpan.FromSeconds(15), 3), (resiliency.Retries["full"].Kind, resiliency.Retries["full"].MaxInterval, resiliency.Retries["full"].MaxRetries));
        Assert.Equal([(429, 429), (500, 599)], resiliency.Retries["full"].HttpStatusCodes);
        Assert.Equal(new CircuitBreakerPolicy(1, TimeSpan.Zero, TimeSpan.FromSeconds(60), "consecutiveFailures > 5"), resiliency.CircuitBreakers["cb"] with { TripLocation = default });
        Assert.Equal(new PolicyNames("fast", "DaprBuiltInServiceRetries", "cb"), resiliency.Apps["billing"]);
        Assert.Equal(new ComponentPolicyNames(new PolicyNames("slow", "full", null), null), resiliency.Components["pubsub"]);
    }

    [Theory]
    [InlineData("type", 0)]
    [InlineData("id", 7)]
    [InlineData("both", 7)]
    public void The_scope_of_an_actors_breaker_is_its_type_or_each_actor(string scope, int kept)
    {
        using var folder = new ResourceFolder().With(
            "r.yaml",
            "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nspec:\n  policies: {circuitBreakers: {cb: {}}}\n"
            + $"  targets: {{actors: {{Cart: {{circuitBreaker: cb, circuitBreakerScope: {scope}, circuitBreakerCacheSize: 7}}}}}}\n");

        Assert.Equal(kept, Assert.Single(ResourceLoader.Load([folder.Path]).Resiliencies).Actors["Cart"].BreakersKept);
    }

    [Fact]
    public void A_policy_may_stand_in_another_file_than_the_target_that_names_it()
    {
        const string Header = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\n";
        using var folder = new ResourceFolder()
            .With("policies.yaml", Header + "spec: {policies: {timeouts: {fast: 1s}}}")
            .With("targets.yaml", Header + "spec: {targets: {apps: {billing: {timeout: fast}}}}");

        Assert.Equal(2, ResourceLoader.Load([folder.Path]).Resiliencies.Count);
    }

    [Fact]
    public void Two_actor_state_stores_are_fine_when_no_application_sees_both()
    {
        const string Store = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: NAME}\nscopes: [APP]\n"
            + "spec: {type: state.in-memory, version: v1, metadata: [{name: actorStateStore, value: true}]}\n";
        using var folder = new ResourceFolder()
            .With("one.yaml", Store.Replace("NAME", "one").Replace("APP", "a"))
            .With("two.yaml", Store.Replace("NAME", "two").Replace("APP", "b"));

        Assert.Equal(2, ResourceLoader.Load([folder.Path]).Components.Count);
    }

    [Fact]
    public void Only_yaml_files_directly_in_the_folder_count()
    {
        using var folder = new ResourceFolder().With("notes.txt", "kind: [").With("secrets.json", "{").With("empty.yaml", "# nothing\n---\n");
        Directory.CreateDirectory(Path.Combine(folder.Path, "below"));
        File.WriteAllText(Path.Combine(folder.Path, "below", "x.yaml"), "kind: [");

        Assert.Empty(ResourceLoader.Load([folder.Path, folder.Path]).Components);
    }

    [Fact]
    public void A_configuration_takes_values_from_the_environment()
    {
        using var folder = new ResourceFolder().With("config.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Configuration
            metadata: {name: cfg}
            spec:
              tracing: {samplingRate: "0.5", otel: {endpointAddress: "${RESOURCE_LOADER_TEST_HOST}:4317$RESOURCE_LOADER_TEST_UNSET", isSecure: false, protocol: grpc}}
              metrics: {enabled: false}
              httpPipeline: {handlers: []}
              api: {allowed: [{name: state, version: v1, protocol: grpc}]}
              secrets: {scopes: [{storeName: s, defaultAccess: deny, allowedSecrets: [a]}]}
              features: [{name: HotReload, enabled: true}, {name: ActorStateTTL, enabled: false}]
            """);
        Environment.SetEnvironmentVariable("RESOURCE_LOADER_TEST_HOST", "collector");

        var configuration = ResourceLoader.LoadConfiguration(Path.Combine(folder.Path, "config.yaml"));

        Assert.Equal((0.5, new Uri("http://collector:4317"), false), (configuration.Tracing.SamplingRate, configuration.Tracing.Otel!.Address, configuration.Tracing.Otel.IsHttp));
        Assert.Equal([new ApiRule("state", "v1", "grpc")], configuration.AllowedApis);
        Assert.Equal(["HotReload"], configuration.EnabledFeatures);
        Assert.Equal(("s", "deny", "a"), (configuration.SecretScopes[0].StoreName, configuration.SecretScopes[0].DefaultAccess, configuration.SecretScopes[0].AllowedSecrets[0]));
        Assert.EndsWith(":7: spec.httpPipeline: has no effect in the embedded sidecar", Assert.Single(configuration.Warnings).ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost:4317", false, "http://localhost:4317/")]
    [InlineData("api.honeycomb.io:443", true, "https://api.honeycomb.io/")]
    [InlineData("x:80", false, "http://x/")]
    [InlineData("Collector:4317", false, "http://collector:4317/")]
    [InlineData("[::1]:4317", false, "http://[::1]:4317/")]
    public void A_collector_is_named_by_any_host_and_port(string address, bool isSecure, string expected) =>
        Assert.Equal(new Uri(expected), LoadCollector($"{{endpointAddress: \"{address}\", protocol: grpc, isSecure: {(isSecure ? "true" : "false")}}}")!.Address);

    [Theory]
    [InlineData("endpointAddress: http://localhost:4317", "spec.tracing.otel.endpointAddress: expected host and port of a collector")]
    [InlineData("endpointAddress: localhost:4317/v1/traces", "spec.tracing.otel.endpointAddress: expected host and port of a collector")]
    [InlineData("endpointAddress: 'localhost:4317?x=1'", "spec.tracing.otel.endpointAddress: expected host and port of a collector")]
    [InlineData("endpointAddress: me@localhost:4317", "spec.tracing.otel.endpointAddress: expected host and port of a collector")]
    [InlineData("endpointAddress: 'localhost:4317, timeout: 1s'", "spec.tracing.otel.endpointAddress: expected host and port of a collector")]
    [InlineData("endpointAddress: localhost:4317, timeout: 0s", "spec.tracing.otel.timeout: expected a time that a collector can answer in")]
    [InlineData("endpointAddress: localhost:4317, timeout: -1s", "spec.tracing.otel.timeout: expected a duration")]
    public void A_collector_that_cannot_be_one_is_told_at_its_line(string fields, string expected)
    {
        var e = Assert.Throws<ResourceException>(() => LoadCollector($"{{{fields}, protocol: grpc}}"));

        Assert.Contains($":5: {expected}", e.Message, StringComparison.Ordinal);
    }

    private static OtelSettings? LoadCollector(string otel)
    {
        using var folder = new ResourceFolder().With(
            "config.yaml", $"apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: cfg}}\nspec:\n  tracing: {{otel: {otel}}}\n");
        return ResourceLoader.LoadConfiguration(Path.Combine(folder.Path, "config.yaml")).Tracing.Otel;
    }
}
