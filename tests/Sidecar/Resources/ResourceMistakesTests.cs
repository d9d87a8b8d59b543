using System.Text;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>Every mistake in a resource file is told: where it is, what was expected, what came; and where Dapr starts all the same, what it does without.</summary>
public sealed class ResourceMistakesTests
{
    private const string Component = """
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: store
        spec:
          type: state.in-memory
          version: v1

        """;

    private const string Subscription = """
        apiVersion: dapr.io/v2alpha1
        kind: Subscription
        metadata:
          name: orders
        spec:
          pubsubname: pubsub
          topic: orders

        """;

    private const string Resiliency = """
        apiVersion: dapr.io/v1alpha1
        kind: Resiliency
        metadata:
          name: r
        spec:

        """;

    private const string Access = """
        apiVersion: dapr.io/v1alpha1
        kind: Configuration
        spec:
          accessControl:

        """;

    private const string Policy = Access + """
            defaultAction: deny
            policies:
            - appId: web
              trustDomain: public
              namespace: default
              operations:

        """;

    /// <summary>What it is, the file, the line of the mistake, a part of what is said.</summary>
    public static TheoryData<string, string, int, string> Mistakes => new()
    {
        { "component without spec", "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: x}\n", 1, "spec: expected a map of fields, got nothing" },
        { "component without type", Component.Replace("  type: state.in-memory\n", ""), 6, "spec.type: expected a component type such as state.redis, got nothing" },
        { "component type without a dot", Component.Replace("state.in-memory", "redis"), 6, "spec.type: expected a component type such as state.redis, got \"redis\"" },
        { "rule without path", Subscription + "  routes:\n    rules:\n    - match: event.type == \"x\"\n", 10, "spec.routes.rules[0].path: expected a path such as /orders, got nothing" },
        { "zipkin address", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  tracing:\n    zipkin:\n      endpointAddress: localhost:9411\n", 6, "spec.tracing.zipkin.endpointAddress: expected the address of a Zipkin server such as http://localhost:9411/api/v2/spans, got \"localhost:9411\"" },
        { "collector address", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  tracing:\n    otel:\n      protocol: grpc\n      endpointAddress: http://localhost:4317\n", 7, "spec.tracing.otel.endpointAddress: expected host and port of a collector such as localhost:4317, got \"http://localhost:4317\"" },
        { "action of access control", Access + "    defaultAction: alow\n", 5, "spec.accessControl.defaultAction: expected allow or deny, got \"alow\"" },
        { "policy without trust domain", Policy.Replace("      trustDomain: public\n", ""), 7, "spec.accessControl.policies[0].trustDomain: expected the trust domain of the caller such as public, got nothing" },
        { "policy without namespace", Policy.Replace("      namespace: default\n", ""), 7, "spec.accessControl.policies[0].namespace: expected the namespace of the caller such as default, got nothing" },
        { "policy without app", Policy.Replace("- appId: web\n      trustDomain", "- trustDomain"), 7, "spec.accessControl.policies[0].appId: expected the id of the application that calls, got nothing" },
        { "small verb", Policy + "      - name: /x\n        action: allow\n        httpVerb: [GET, post]\n", 13, "spec.accessControl.policies[0].operations[0].httpVerb: expected *, GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH, got post" },
        { "api protocol", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  api:\n    allowed:\n    - {name: state, version: v1, protocol: tcp}\n", 6, "spec.api.allowed[0].protocol: expected http or grpc, got \"tcp\"" },
    };

    /// <summary>As above, of files with which Dapr starts.</summary>
    public static TheoryData<string, string, int, string> Losses => new()
    {
        { "malformed YAML", "apiVersion: dapr.io/v1alpha1\nkind: [Component\n", 3, "not well-formed YAML" },
        { "a field twice", Component.Replace("  version: v1", "  version: v0\n  version: v1"), 8, "\"version\" is given twice; Dapr takes this, the last one" },
        { "name that is no part of a path", Component.Replace("name: store", "name: a/store"), 1, "metadata.name: expected a name without / and %, got \"a/store\"; Dapr leaves this Component out" },
        { "apiVersion of a resiliency", Resiliency.Replace("v1alpha1", "v2") + "  policies: {}\n", 1, "apiVersion: expected dapr.io/v1alpha1, got \"dapr.io/v2\"; Dapr does not look at it, and takes this Resiliency" },
        { "breaker with a trip that is no expression", Resiliency + "  policies:\n    circuitBreakers:\n      cb:\n        maxRequests: 1\n        trip: consecutiveFailures >\n", 10, "; Dapr takes no target of this Resiliency, and runs without its retries, timeouts and circuit breakers" },
        { "breaker with a trip that asks for what is not there", Resiliency + "  policies:\n    circuitBreakers:\n      cb:\n        trip: failures > 5\n", 9, "spec.policies.circuitBreakers.cb.trip: the expression 'failures > 5' cannot be evaluated" },
        { "breaker with a trip that is not true or false", Resiliency + "  policies:\n    circuitBreakers:\n      cb:\n        trip: consecutiveFailures + 1\n", 9, "Dapr takes it, and it never trips" },
        { "endpoint without address", "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: e}\nspec:\n  headers: []\n", 5, "spec.baseUrl: expected an address that starts with http:// or https://, got nothing; Dapr starts, and fails every call of e" },
        { "endpoint without scheme", "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: e}\nspec:\n  baseUrl: localhost:5199\n", 5, "expected an address that starts with http:// or https://, got \"localhost:5199\"" },
        { "endpoint without spec", "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: e}\n", 1, "spec: expected an address" },
        { "no map", "- kind: Component\n", 1, "expected a map of fields, got a list" },
        { "no kind", "apiVersion: dapr.io/v1alpha1\n", 1, "kind: expected Component, Subscription, Resiliency, HTTPEndpoint or Configuration, got nothing" },
        { "unknown kind", "apiVersion: dapr.io/v1alpha1\nkind: Componnt\n", 2, "got \"Componnt\"" },
        { "kind that is not supported", "apiVersion: dapr.io/v1alpha1\nkind: MCPServer\n", 2, "MCPServer is not supported by the embedded sidecar" },
        { "apiVersion", Component.Replace("v1alpha1", "v1"), 1, "apiVersion: expected dapr.io/v1alpha1, got \"dapr.io/v1\"" },
        { "apiVersion of a subscription", Subscription.Replace("v2alpha1", "v2"), 1, "expected dapr.io/v2alpha1 or dapr.io/v1alpha1, got \"dapr.io/v2\"" },
        {
            "outbox without topic", Component + "  metadata:\n  - {name: outboxPublishPubsub, value: events}\n---\n" + Component.Replace("store", "events").Replace("state.", "pubsub."),
            9, "component \"store\": expected outboxPublishTopic beside outboxPublishPubsub; Dapr has no outbox without both"
        },
        {
            "outbox without broker", Component + "  metadata:\n  - {name: outboxPublishPubsub, value: events}\n  - {name: outboxPublishTopic, value: orders}\n",
            9, "outboxPublishPubsub: expected one of the pub/sub components, but there are none; got \"events\", and Dapr publishes no event of the outbox"
        },
        { "unknown field at the top", Component + "scope: [ordering]\n", 8, "scope: unknown field; did you mean scopes?" },
        { "unknown field in metadata", Component.Replace("  name: store", "  name: store\n  nam: store"), 5, "metadata.nam: unknown field; did you mean name?" },
        { "second document", Component + "---\n" + Component.Replace("store", "other").Replace("version: v1", "version: v1\n  versoin: v1"), 16, "spec.versoin: unknown field; did you mean version?" },
        { "component without name", Component.Replace("  name: store", "  labels: {}"), 1, "expected metadata.name, got nothing" },
        { "component without version", Component.Replace("  version: v1\n", ""), 6, "spec.version: expected a version such as v1, got nothing; Dapr takes v1" },
        { "ignoreErrors", Component + "  ignoreErrors: maybe\n", 8, "spec.ignoreErrors: expected true or false, got \"maybe\"" },
        { "initTimeout", Component + "  initTimeout: 5 seconds\n", 8, "spec.initTimeout: expected a duration such as 500ms, 5s or 1m30s, got \"5 seconds\"" },
        { "initTimeout without unit", Component + "  initTimeout: 5\n", 8, "got \"5\"" },
        { "metadata as a map", Component + "  metadata:\n    redisHost: localhost\n", 9, "spec.metadata: expected a list of maps, got a map" },
        { "metadata item as a text", Component + "  metadata:\n  - redisHost\n", 9, "spec.metadata[0]: expected a map of fields, got \"redisHost\"" },
        { "metadata item without name", Component + "  metadata:\n  - value: x\n", 9, "spec.metadata[0].name: expected the name of a field, got nothing" },
        { "metadata item with an unknown field", Component + "  metadata:\n  - name: a\n    valu: x\n", 10, "spec.metadata[0].valu: unknown field; did you mean value?" },
        { "metadata item with two sources", Component + "  metadata:\n  - name: a\n    value: x\n    envRef: A\n", 9, "expected one of value, secretKeyRef and envRef, got several" },
        { "metadata item twice", Component + "  metadata:\n  - name: a\n    value: x\n  - name: A\n    value: y\n", 11, "spec.metadata[1].name: \"A\" is given twice" },
        { "secretKeyRef without store", Component + "  metadata:\n  - name: a\n    secretKeyRef: {name: s}\n", 10, "\"a\" has a secretKeyRef; expected auth.secretStore to name the secret store, got nothing: \"a\" stays empty" },
        { "unknown secret store", Component + "auth:\n  secretStore: vault\n", 9, "auth.secretStore: expected the name of a secret store component of these folders, got \"vault\"" },
        { "denied variable", Component + "  metadata:\n  - name: a\n    envRef: DAPR_API_TOKEN\n", 10, "Dapr gives components no access to the variable \"DAPR_API_TOKEN\"" },
        { "scopes as a text", Component + "scopes: ordering\n", 8, "scopes: expected a list of texts, got \"ordering\"" },
        { "subscription without topic", Subscription.Replace("  topic: orders\n", "  routes: {default: /x}\n"), 6, "spec.topic: expected a topic, got nothing" },
        { "subscription without routes", Subscription, 6, "spec.routes: expected routes.default or routes.rules with a path, got nothing; Dapr drops every message of orders" },
        { "subscription with empty routes", Subscription + "  routes: {rules: []}\n", 8, "expected routes.default or routes.rules with a path, got neither" },
        { "route of the other version", Subscription + "  routes: {default: /x}\n  route: /x\n", 9, "spec.route: unknown field; did you mean routes?" },
        { "old subscription without route", Subscription.Replace("v2alpha1", "v1alpha1"), 6, "spec.route: expected a path such as /orders, got nothing" },
        { "bulk with a wrong number", Subscription + "  routes: {default: /x}\n  bulkSubscribe:\n    enabled: true\n    maxMessagesCount: many\n", 11, "spec.bulkSubscribe.maxMessagesCount: expected a whole number of 0 or more, got \"many\"" },
        { "bulk with an unknown field", Subscription + "  routes: {default: /x}\n  bulkSubscribe:\n    enable: true\n", 10, "spec.bulkSubscribe.enable: unknown field; did you mean enabled?" },
        { "timeout", Resiliency + "  policies:\n    timeouts:\n      fast: soon\n", 8, "spec.policies.timeouts.fast: expected a duration such as 500ms, 5s or 1m30s, got \"soon\"" },
        { "negative timeout", Resiliency + "  policies:\n    timeouts:\n      fast: -5s\n", 8, "got \"-5s\"" },
        { "policy word", Resiliency + "  policies:\n    retries:\n      a:\n        policy: linear\n", 9, "spec.policies.retries.a.policy: expected constant or exponential, got \"linear\"" },
        { "retry duration", Resiliency + "  policies:\n    retries:\n      a:\n        duration: 1x\n", 9, "spec.policies.retries.a.duration: expected a duration" },
        { "retry count", Resiliency + "  policies:\n    retries:\n      a:\n        maxRetries: -2\n", 9, "expected a whole number of -1 or more, got \"-2\"" },
        { "retry without fields", Resiliency + "  policies:\n    retries:\n      a:\n", 8, "spec.policies.retries.a: expected a map of fields, got nothing" },
        { "unknown field in a retry", Resiliency + "  policies:\n    retries:\n      a:\n        maxRetry: 3\n", 9, "spec.policies.retries.a.maxRetry: unknown field; did you mean maxRetries?" },
        { "matching", Resiliency + "  policies:\n    retries:\n      a:\n        matching: {httpStatusCodes: \"5xx\"}\n", 9, "expected codes from 100 to 599 such as \"104,108-599\", got \"5xx\"" },
        { "matching of gRPC codes", Resiliency + "  policies:\n    retries:\n      a:\n        matching: {gRPCStatusCodes: \"14,20\"}\n", 9, "expected codes from 0 to 16 such as \"4,8-16\", got \"20\"" },
        { "breaker", Resiliency + "  policies:\n    circuitBreakers:\n      cb:\n        timeout: long\n", 9, "spec.policies.circuitBreakers.cb.timeout: expected a duration" },
        { "unknown policy", Resiliency + "  policies:\n    retries:\n      a: {maxRetries: 3}\n  targets:\n    apps:\n      two:\n        retry: b\n", 12, "spec.targets.apps.two.retry: expected one of spec.policies.retries, which are a; got \"b\"" },
        { "unknown policy of a component", Resiliency + "  targets:\n    components:\n      pubsub:\n        inbound:\n          timeout: t\n", 10, "spec.targets.components.pubsub.inbound.timeout: expected one of spec.policies.timeouts, but there are none; got \"t\"" },
        { "policies of a component without direction", Resiliency + "  targets:\n    components:\n      pubsub:\n        retry: x\n", 9, "spec.targets.components.pubsub.retry: unknown field" },
        { "actor breaker without scope", Resiliency + "  policies:\n    circuitBreakers:\n      cb: {maxRequests: 1}\n  targets:\n    actors:\n      Cart:\n        circuitBreaker: cb\n", 12, "an actor's circuit breaker needs circuitBreakerScope: type, id or both" },
        { "resiliency after another document", Component + "---\n" + Resiliency + "  policies: {}\n", 10, "kind: Dapr reads a Resiliency only where it is the first document" },
        { "collector protocol", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  tracing:\n    otel:\n      endpointAddress: localhost:4317\n", 6, "spec.tracing.otel.protocol: expected grpc or http, got nothing" },
        { "sampling rate", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  tracing:\n    samplingRate: all\n", 5, "spec.tracing.samplingRate: expected a number from 0 to 1, got \"all\"" },
        { "configuration section", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  trace: {}\n", 4, "spec.trace: unknown field" },
        { "indented by a tab", Component + "  metadata:\n\t- name: a\n    value: x\n", 9, "the line is indented by a tab; expected spaces; Dapr passes over this document" },
        { "a Kubernetes object", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: 1}\n", 2, "got \"Deployment\"; Dapr passes over this document" },
        { "a compose file", "services:\n  redis:\n    image: redis\n", 1, "kind: expected Component, Subscription, Resiliency, HTTPEndpoint or Configuration, got nothing; Dapr passes over this document" },
        { "routes of the other version", Subscription.Replace("v2alpha1", "v1alpha1") + "  routes: {default: /x}\n", 8, "spec.routes: dapr.io/v1alpha1 has no routes, but route; Dapr drops every message of orders" },
        { "route of the other version alone", Subscription + "  route: /x\n", 8, "spec.route: dapr.io/v2alpha1 has no route, but routes.default; Dapr drops every message of orders" },
        { "number within quotation marks", Subscription + "  routes: {default: /x}\n  bulkSubscribe: {maxMessagesCount: \"5\"}\n", 9, "expected a whole number, got \"5\"; Dapr cannot read this, and leaves the Subscription out" },
        { "one bad word in a policy", Resiliency + "  policies:\n    retries:\n      a:\n        policy: linear\n", 9, "got \"linear\"; Dapr takes no target of this Resiliency, and runs without its retries, timeouts and circuit breakers" },
        { "access control that says half", Policy.Replace("    defaultAction: deny\n", ""), 5, "spec.accessControl.defaultAction: expected allow or deny, got nothing; Dapr allows everything to those for whom no policy is there" },
        { "policy twice", Policy.Replace("      operations:\n", "") + "    - appId: web\n      trustDomain: other\n      namespace: default\n", 7, "a policy for \"web\" in default comes again at" },
        { "operation without action", Policy + "      - {name: /x, httpVerb: [GET]}\n", 11, "spec.accessControl.policies[0].operations[0].action: expected allow or deny, got nothing; Dapr refuses these calls" },
        { "operation behind a shorter one", Policy + "      - {name: /x, action: allow}\n      - {name: /x/y, action: allow}\n", 12, "spec.accessControl.policies[0].operations[1].name: /x at" },
        { "star in the middle", Policy + "      - name: /x/*/y\n        action: allow\n", 11, "spec.accessControl.policies[0].operations[0].name: expected a star for one part of a path at its end, got one in the middle; no call comes to this operation" },
        { "old tracing field", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  tracing:\n    enabled: true\n", 5, "spec.tracing.enabled: unknown field" },
        { "old workflow field", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nspec:\n  enableWorkflowRuntime: true\n", 4, "spec.enableWorkflowRuntime: unknown field" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_named_with_file_line_and_what_was_expected(string what, string yaml, int line, string expected)
    {
        using var folder = new ResourceFolder().With("resource.yaml", yaml);

        var e = Assert.Throws<ResourceException>(() => ResourceLoader.Load([folder.Path]));

        Check(Assert.Single(e.Errors), what, folder, line, expected);
    }

    [Theory]
    [MemberData(nameof(Losses))]
    public void What_Dapr_passes_over_is_told_with_file_line_and_what_is_lost(string what, string yaml, int line, string expected)
    {
        using var folder = new ResourceFolder().With("resource.yaml", yaml);

        Check(Assert.Single(ResourceLoader.Load([folder.Path]).Warnings), what, folder, line, expected);
    }

    [Fact]
    public void All_mistakes_of_all_files_are_shown_together()
    {
        using var first = new ResourceFolder().With("b.yaml", Component.Replace("state.in-memory", "redis") + "  nope: 1\n").With("a.yml", "kind: [");
        using var second = new ResourceFolder().With("c.yaml", Component.Replace("  type: state.in-memory\n", ""));

        var e = Assert.Throws<ResourceException>(() => ResourceLoader.Load([first.Path, second.Path, Path.Combine(first.Path, "missing")]));

        Assert.Equal(3, e.Errors.Count);
        Assert.Contains("missing: expected a folder with resource files; it does not exist", e.Message, StringComparison.Ordinal);
        Assert.Contains("c.yaml:6: spec.type: expected a component type such as state.redis, got nothing", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_field_that_comes_again_in_its_map_the_last_one_counts_with_all_that_is_in_it()
    {
        using var folder = new ResourceFolder().With("resource.yaml", Component
            + "  metadata:\n  - {name: a, value: x}\n  - {name: b, value: x}\n  metadata:\n  - name: c\n    value: y\n    value: z\n");

        var resources = ResourceLoader.Load([folder.Path]);

        Assert.Equal([("c", "z")], Assert.Single(resources.Components).Metadata.Select(item => (item.Name, item.Value)));
        Assert.Equal([11, 14], resources.Warnings.Select(warning => warning.Location.Line));
    }

    [Fact]
    public void A_configuration_of_another_kind_is_taken_for_one_and_told()
    {
        using var folder = new ResourceFolder().With("config.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Config\nspec: {features: [{name: HotReload, enabled: true}]}\n");

        var configuration = ResourceLoader.LoadConfiguration(Path.Combine(folder.Path, "config.yaml"));

        Assert.Equal(["HotReload"], configuration.EnabledFeatures);
        Assert.Contains("config.yaml:1: expected apiVersion dapr.io/v1alpha1 and kind Configuration, got dapr.io/v1alpha1 and Config", Assert.Single(configuration.Warnings).ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    public void A_file_that_is_nested_without_end_is_passed_over(string level)
    {
        using var folder = new ResourceFolder().With("deep.yaml", new StringBuilder().Insert(0, level, 100_000).ToString());

        var warning = Assert.Single(ResourceLoader.Load([folder.Path]).Warnings).ToString();

        Assert.Contains("deep.yaml:1: expected maps and lists of at most 100 levels, got more", warning, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_that_does_not_exist_is_refused()
    {
        var e = Assert.Throws<ResourceException>(() => ResourceLoader.LoadConfiguration("/nowhere/config.yaml"));

        Assert.Contains("expected a file with a Configuration; it does not exist", e.Message, StringComparison.Ordinal);
    }

    private static void Check(ResourceError error, string what, ResourceFolder folder, int line, string expected)
    {
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.True(line == error.Location.Line, $"{what}: expected line {line}, got {error}");
        Assert.Equal(Path.Combine(folder.Path, "resource.yaml"), error.Location.File);
    }
}
