using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>What each application gets of folders that it shares with others: what is for others is not there for it (dapr pkg/internal/loader/disk).</summary>
public sealed class ScopedResourcesTests : IDisposable
{
    private const string Component = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: store\nspec: {type: state.in-memory, version: v1}\n";
    private const string Subscription = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {name: orders}\nspec: {pubsubname: pubsub, topic: TOPIC, routes: {default: /x}}\n";
    private const string Endpoint = "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: shop}\nspec: {baseUrl: \"http://localhost:1\"}\n";

    private readonly ResourceFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Subscriptions_of_one_name_for_different_applications_are_each_for_its_own()
    {
        _folder.With("a.yaml", Subscription.Replace("TOPIC", "a") + "scopes: [one]\n").With("b.yaml", Subscription.Replace("TOPIC", "b") + "scopes: [two]\n");

        await using var dapr = await StartAsync("one", "two");

        Assert.Equal(["a"], Topics(dapr, "one"));
        Assert.Equal(["b"], Topics(dapr, "two"));
    }

    [Theory]
    [InlineData("{name: orders}")]
    [InlineData("{}")]
    public async Task Of_subscriptions_of_one_name_the_last_one_that_is_for_the_application_counts_as_of_those_without_one(string metadata)
    {
        var subscription = Subscription.Replace("{name: orders}", metadata);
        _folder.With("a.yaml", subscription.Replace("TOPIC", "a")).With("b.yaml", subscription.Replace("TOPIC", "b")).With("c.yaml", subscription.Replace("TOPIC", "c") + "scopes: [two]\n");

        await using var dapr = await StartAsync("one", "two");

        Assert.Equal(["b"], Topics(dapr, "one"));
        Assert.Equal(["c"], Topics(dapr, "two"));
        Assert.Equal(
            [("a.yaml", 3), ("b.yaml", 3)],
            ResourceLoader.Load([_folder.Path]).Warnings.Select(warning => (Path.GetFileName(warning.Location.File), warning.Location.Line)));
    }

    [Fact]
    public async Task A_component_of_the_name_of_one_that_is_for_others_is_taken()
    {
        _folder.With("a.yaml", Component + "scopes: [other]\n").With("b.yaml", Component.Replace("state.", "pubsub."));

        await using var dapr = await StartAsync("one");

        Assert.Equal("pubsub.in-memory", Assert.Single(dapr["one"].Runtime.Loaded.Components).Type);
    }

    /// <summary>Though the second one is for others, daprd ends.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("scopes: [other]\n")]
    public async Task A_second_component_of_the_name_of_one_that_is_for_the_application_is_refused(string scopes)
    {
        _folder.With("a.yaml", Component).With("b.yaml", Component + scopes);

        var refused = await Assert.ThrowsAsync<ResourceException>(() => StartAsync("one"));

        Assert.Contains($"b.yaml:4: a component named \"store\" is already declared at {Path.Combine(_folder.Path, "a.yaml")}:4", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_actor_state_store_is_refused_unless_it_is_for_others()
    {
        var store = Component.Replace("version: v1", "version: v1, metadata: [{name: actorStateStore, value: \"true\"}]");
        _folder.With("a.yaml", store).With("b.yaml", store.Replace("name: store", "name: other"));

        var refused = await Assert.ThrowsAsync<ResourceException>(() => StartAsync("one"));
        Assert.Contains($"b.yaml:5: \"other\" sets actorStateStore, but \"store\" at {Path.Combine(_folder.Path, "a.yaml")}:5", refused.Message, StringComparison.Ordinal);

        _folder.With("a.yaml", store.Replace("name: store", "name: store\n  namespace: elsewhere"));
        await using var dapr = await EmbeddedDapr.StartAsync(
            new() { Apps = [new() { AppId = "one", Namespace = "prod" }], ResourcesPaths = [_folder.Path] }, Cancellation);
        Assert.Equal("other", Assert.Single(dapr["one"].Runtime.Loaded.Components).Name);
    }

    [Fact]
    public async Task Of_HTTPEndpoints_of_which_two_have_one_name_none_is_there()
    {
        _folder.With("a.yaml", Endpoint).With("b.yaml", Endpoint + "---\n" + Endpoint.Replace("shop", "other"));

        await using var dapr = await StartAsync("one");

        Assert.Empty(dapr["one"].Runtime.Loaded.Declared.HttpEndpoints);
        Assert.Contains("b.yaml:3: an HTTPEndpoint named \"shop\" is already declared at", dapr["one"].Runtime.Loaded.Declared.Warnings.Single().ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rule_that_is_no_expression_ends_only_the_sidecar_of_an_application_that_it_is_for()
    {
        _folder.With("a.yaml", Subscription.Replace("TOPIC", "a").Replace("routes: {", "routes: {rules: [{match: event.type ==, path: /y}], ") + "scopes: [two]\n");

        await using (await StartAsync("one"))
        {
        }

        Assert.Contains("a.yaml:4: ", (await Assert.ThrowsAsync<ResourceException>(() => StartAsync("one", "two"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_of_another_namespace_is_not_there_where_a_namespace_is_set_but_subscriptions_are()
    {
        var elsewhere = "namespace: elsewhere";
        _folder.With("a.yaml", Component.Replace("name: store", $"name: store\n  {elsewhere}"))
            .With("b.yaml", Endpoint.Replace("name: shop", $"name: shop, {elsewhere}"))
            .With("c.yaml", Subscription.Replace("TOPIC", "c").Replace("name: orders", $"name: orders, {elsewhere}"));

        await using var dapr = await EmbeddedDapr.StartAsync(
            new() { Apps = [new() { AppId = "one" }, new() { AppId = "two", Namespace = "prod" }], ResourcesPaths = [_folder.Path] }, Cancellation);

        Assert.Equal((1, 1, 1), Counts("one"));
        Assert.Equal((0, 0, 1), Counts("two"));

        (int Components, int Endpoints, int Subscriptions) Counts(string app)
        {
            var declared = dapr[app].Runtime.Loaded.Declared;
            return (declared.Components.Count, declared.HttpEndpoints.Count, declared.Subscriptions.Count);
        }
    }

    private Task<EmbeddedDapr> StartAsync(params string[] apps) =>
        EmbeddedDapr.StartAsync(new() { Apps = [.. apps.Select(app => new SidecarOptions { AppId = app })], ResourcesPaths = [_folder.Path] }, Cancellation);

    private static IEnumerable<string> Topics(EmbeddedDapr dapr, string app) => dapr[app].Runtime.Loaded.Declared.Subscriptions.Select(subscription => subscription.Topic);
}
