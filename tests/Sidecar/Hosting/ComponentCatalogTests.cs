using System.Text.Json;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Resources;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.Hosting;

public sealed class ComponentCatalogTests : IAsyncDisposable
{
    private readonly ComponentCatalog _catalog = new(NullLoggerFactory.Instance, TimeProvider.System);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("catalog-");

    public async ValueTask DisposeAsync()
    {
        await _catalog.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task The_same_resource_is_one_instance_for_all_applications()
    {
        var store = Sidecars.Component("store", "state.in-memory");

        var one = Assert.Single(await LoadAsync("one", store));
        var two = Assert.Single(await LoadAsync("two", store));

        Assert.Same(one.Instance, two.Instance);
    }

    [Fact]
    public async Task Metadata_that_names_the_application_makes_instances_of_their_own()
    {
        var store = Sidecars.Component("store", "state.sqlite", ("connectionString", Path.Combine(_folder.FullName, "{appID}.db")));

        await LoadAsync("one", store);
        await LoadAsync("two", store);

        Assert.Equal(["one.db", "two.db"], _folder.GetFiles("*.db").Select(file => file.Name).Order());
    }

    [Theory]
    [InlineData("pubsub.in-memory")]
    [InlineData("pubsub.sqlite")]
    public async Task A_broker_of_this_process_is_one_for_all_applications_whatever_consumer_ids_they_have(string type)
    {
        var broker = Sidecars.Component("pubsub", type, ("connectionString", Path.Combine(_folder.FullName, "pubsub.db")), ("consumerID", "{appID}"));

        var one = Assert.Single(await LoadAsync("one", broker));
        var two = Assert.Single(await LoadAsync("two", broker));

        Assert.Same(one.Instance, two.Instance);
        Assert.Equal(("one", "two"), (one.Metadata.Text("consumerID"), two.Metadata.Text("consumerID")));
    }

    [Fact]
    public async Task A_relative_path_starts_at_the_folder_of_the_application()
    {
        await LoadAsync("one", Sidecars.Component("store", "state.sqlite", ("connectionString", "file:own.db")));
        await LoadAsync("two", Sidecars.Component("store", "state.sqlite", ("connectionString", "own.db")));

        Assert.Equal(["one", "two"], _folder.GetFiles("own.db", SearchOption.AllDirectories).Select(file => file.Directory!.Name).Order());
    }

    [Fact]
    public async Task One_file_is_one_instance_wherever_the_paths_to_it_start()
    {
        var store = Sidecars.Component("store", "state.sqlite", ("connectionString", "../shared.db"));

        var one = Assert.Single(await LoadAsync("one", store));
        var two = Assert.Single(await LoadAsync("two", store));

        Assert.Same(one.Instance, two.Instance);
    }

    [Fact]
    public async Task An_application_sees_only_what_is_in_its_scope()
    {
        var store = Sidecars.Component("store", "state.in-memory") with { Scopes = ["two"] };

        Assert.Empty(await LoadAsync("one", store));
        Assert.Single(await LoadAsync("two", store));
    }

    [Fact]
    public async Task An_unknown_type_stops_the_start_with_its_place_and_what_is_known()
    {
        var location = new SourceLocation("store.yaml", 3);

        var e = await Assert.ThrowsAsync<ResourceException>(() => LoadAsync("one", Sidecars.Component("store", "state.sqlight") with { Location = location }));

        Assert.StartsWith("store.yaml:3: ", e.Message, StringComparison.Ordinal);
        Assert.Contains("state.sqlight", e.Message, StringComparison.Ordinal);
        Assert.Contains("state.sqlite v1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_metadata_field_is_passed_over_and_told_with_its_place_and_what_is_known()
    {
        var store = Sidecars.Component("store", "state.in-memory") with
        {
            Metadata = [new MetadataItem("keyPrefx", "none", null, null, new SourceLocation("store.yaml", 9))],
        };

        Assert.Single(await LoadAsync("one", store));

        Assert.Equal(
            "store.yaml:9: component store: state.in-memory has no metadata field 'keyPrefx', and Dapr passes over it; it knows keyPrefix, actorStateStore, "
            + "outboxPublishPubsub, outboxPublishTopic, outboxPubsub, outboxDiscardWhenMissingState",
            Assert.Single(ComponentTypes.Check(store)).ToString());
    }

    [Theory]
    [InlineData("configuration.redis", "redisHost", true)]
    [InlineData("configuration.redis", "keyPrefix", false)]
    [InlineData("lock.redis", "keyPrefix", true)]
    [InlineData("lock.redis", "redisHots", false)]
    [InlineData("state.sqlite", "outboxPublishTopic", true)]
    [InlineData("state.sqlite", "outboxTopic", false)]
    public void Fields_are_known_by_type(string type, string field, bool isKnown) =>
        Assert.Equal(isKnown, !ComponentTypes.Check(Sidecars.Component("c", type, (field, "x"))).Any());

    [Theory]
    [InlineData("state.in-memory", "primaryEncryptionKey")]
    [InlineData("state.sqlite", "secondaryEncryptionKey")]
    [InlineData("state.redis", "PrimaryEncryptionKey")]
    [InlineData("state.postgresql", "primaryEncryptionKey")]
    public async Task A_state_store_that_is_to_encrypt_is_refused_at_that_line_and_keeps_nothing_in_clear(string type, string field)
    {
        var store = Sidecars.Component("store", type) with
        {
            Metadata = [new MetadataItem(field, null, new SecretKeyRef("keys", "aes"), null, new SourceLocation("store.yaml", 9))],
        };

        var error = await Assert.ThrowsAsync<ResourceException>(() => LoadAsync("one", store));
        Assert.Equal(
            $"store.yaml:9: component store: the embedded sidecar does not encrypt values, which '{field}' asks for: it would keep them in clear; "
            + "leave the field out where they may be, or run this component with daprd",
            error.Message);
        Assert.False(Assert.Single(ComponentTypes.Check(store)).IsWarning);
        Assert.Empty(await LoadAsync("one", store with { IgnoreErrors = true }));
        Assert.EndsWith("; it is left out, as its ignoreErrors asks", Assert.Single(ComponentTypes.Check(store with { IgnoreErrors = true })).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pubsub.kafka", "useAvroJSON")]
    [InlineData("pubsub.kafka", "backOffMaxInterval")]
    [InlineData("pubsub.kafka", "oidcClientID")]
    [InlineData("state.redis", "azureTenantId")]
    [InlineData("lock.redis", "oidcTokenEndpoint")]
    [InlineData("state.postgresql", "awsRegion")]
    [InlineData("bindings.postgres", "azureClientId")]
    public void A_field_that_Dapr_acts_on_and_this_sidecar_does_not_is_told_so(string type, string field)
    {
        var warning = Assert.Single(ComponentTypes.Check(Sidecars.Component("c", type, (field, "x"))));

        Assert.Equal($"component c: the embedded sidecar does not act on '{field}' of {type}, as Dapr does", warning.Message);
        Assert.True(warning.IsWarning);
    }

    [Fact]
    public async Task A_component_that_cannot_start_is_left_out_only_where_errors_are_to_be_ignored()
    {
        var broken = Sidecars.Component("store", "state.sqlite", ("connectionString", ":memory:"));
        var other = Sidecars.Component("other", "state.in-memory");

        await Assert.ThrowsAsync<ResourceException>(() => LoadAsync("one", broken, other));
        var loaded = await LoadAsync("one", broken with { IgnoreErrors = true }, other);

        Assert.Equal("other", Assert.Single(loaded).Name);
    }

    [Fact]
    public async Task Secrets_are_put_in_from_the_store_that_the_component_names_in_whatever_order_they_are_declared()
    {
        var secrets = Path.Combine(_folder.FullName, "secrets.json");
        var content = JsonSerializer.Serialize(new { file = new { path = Path.Combine(_folder.FullName, "secret.db") } });
        await File.WriteAllTextAsync(secrets, content, TestContext.Current.CancellationToken);
        var store = Sidecars.Component("store", "state.sqlite") with
        {
            SecretStore = "secrets",
            Metadata = [new MetadataItem("connectionString", null, new SecretKeyRef("file:path", ""), null, default)],
        };

        await LoadAsync("one", store, Sidecars.Component("secrets", "secretstores.local.file", ("secretsFile", secrets)));

        Assert.True(File.Exists(Path.Combine(_folder.FullName, "secret.db")));
    }

    [Fact]
    public async Task A_secret_that_is_not_there_stops_the_start()
    {
        var store = Sidecars.Component("store", "state.sqlite") with
        {
            SecretStore = "secrets",
            Metadata = [new MetadataItem("connectionString", null, new SecretKeyRef("nosuch", ""), null, new SourceLocation("store.yaml", 7))],
        };
        var secrets = Path.Combine(_folder.FullName, "secrets.json");
        await File.WriteAllTextAsync(secrets, "{}", TestContext.Current.CancellationToken);

        var e = await Assert.ThrowsAsync<ResourceException>(() => LoadAsync("one", store, Sidecars.Component("secrets", "secretstores.local.file", ("secretsFile", secrets))));

        Assert.StartsWith("store.yaml:7: ", e.Message, StringComparison.Ordinal);
        Assert.Contains("'secrets' has no secret 'nosuch'", e.Message, StringComparison.Ordinal);
    }

    private Task<IReadOnlyList<LoadedComponent>> LoadAsync(string appId, params ComponentResource[] resources) =>
        _catalog.LoadAsync(resources, appId, "default", Path.Combine(_folder.FullName, appId), TestContext.Current.CancellationToken);
}
