using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Resources;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>What refuses a component may not show what it is kept from others by: these texts end up on consoles and in logs.</summary>
public sealed class ConnectionStringSecretsTests
{
    private const string Secret = "tr0ub4dor";

    [Theory]
    [InlineData("state.postgresql", "connectionString", $"host=db password={Secret} hast=x")]
    [InlineData("state.postgresql", "connectionString", $"host=db password=my {Secret}=x")]
    [InlineData("state.postgresql", "connectionString", $"host=db password=my port={Secret}")]
    [InlineData("state.postgresql", "connectionString", $"host=db password='{Secret}")]
    [InlineData("state.postgresql", "connectionString", $"postgres://me:{Secret}@db/orders?hast=x")]
    [InlineData("state.postgresql", "connectionString", $"Server=db;Password={Secret}")]
    [InlineData("state.sqlite", "connectionString", $"data.db?password={Secret}")]
    public async Task Is_not_shown_where_a_field_is_refused(string type, string field, string value)
    {
        var component = Sidecars.Component("store", type, (field, value)) with { Version = type == "state.postgresql" ? "v2" : "v1" };

        Assert.DoesNotContain(Secret, await RefusalOf(component), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Is_not_shown_where_it_came_from_a_secret_store_whatever_the_field()
    {
        using var folder = new TemporarySecrets(Secret);
        var store = Sidecars.Component("store", "state.sqlite") with
        {
            SecretStore = "secrets",
            Metadata =
            [
                new MetadataItem("connectionString", Path.Combine(folder.Path, "x.db"), null, null, default),
                new MetadataItem("busyTimeout", null, new SecretKeyRef("secret", ""), null, default),
            ],
        };

        var refusal = await RefusalOf(Sidecars.Component("secrets", "secretstores.local.file", ("secretsFile", folder.File)), store);

        Assert.Contains("metadata field 'busyTimeout' must be a duration", refusal, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, refusal, StringComparison.Ordinal);
    }

    private static async Task<string> RefusalOf(params ComponentResource[] components)
    {
        await using var catalog = new ComponentCatalog(NullLoggerFactory.Instance, TimeProvider.System);
        var refusal = await Assert.ThrowsAsync<ResourceException>(() => catalog.LoadAsync(components, "one", "default", Environment.CurrentDirectory, TestContext.Current.CancellationToken));
        return refusal.ToString();
    }

    private sealed class TemporarySecrets : IDisposable
    {
        public TemporarySecrets(string secret) => System.IO.File.WriteAllText(File, $$"""{"secret":"{{secret}}"}""");

        public string Path { get; } = Directory.CreateTempSubdirectory("secrets-").FullName;

        public string File => System.IO.Path.Combine(Path, "secrets.json");

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
