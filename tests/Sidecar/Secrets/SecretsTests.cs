using System.Net;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Secrets;

public sealed class SecretsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("secrets-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("false", "a", """{"a":"%!s(float64=1)"}""")]
    [InlineData("false", "b:c:0", """{"b:c:0":"x"}""")]
    [InlineData("false", "b:d", """{"b:d":"%!s(bool=true)"}""")]
    [InlineData("false", "n", """{"n":"%!s(<nil>)"}""")]
    [InlineData("false", "large", """{"large":"%!s(float64=1e+21)"}""")]
    [InlineData("true", "t", """{"t":"text"}""")]
    [InlineData("true", "b", """{"c:0":"x","c:1":"y","d":"%!s(bool=true)"}""")]
    public async Task Nested_values_are_secrets_of_their_own_or_one_secret_with_several_values(string multiValued, string key, string expected)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", await StoreAsync(("multiValued", multiValued))));
        using var client = Sidecars.Http(dapr["one"]);

        Assert.Equal(expected, await client.GetStringAsync(new Uri($"/v1.0/secrets/file/{key}", UriKind.Relative), TestContext.Current.CancellationToken));
    }

    /// <summary>components-contrib, secretstores/local/file/filestore.go: Init keeps texts and objects.</summary>
    [Theory]
    [InlineData("a")]
    [InlineData("list")]
    [InlineData("n")]
    public async Task With_several_values_a_secret_is_a_text_or_an_object_and_nothing_else(string key)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", await StoreAsync(("multiValued", "true"))));
        using var client = Sidecars.Http(dapr["one"]);

        using var answer = await client.GetAsync(new Uri($"/v1.0/secrets/file/{key}", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Contains($"secret {key} not found", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_configuration_closes_secrets_to_the_application()
    {
        var configuration = ConfigurationResource.Default with { SecretScopes = [new SecretScope("file", "deny", ["a"], [])] };
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", await StoreAsync()) with { Configuration = configuration });
        using var client = Sidecars.Http(dapr["one"]);

        Assert.Equal("""{"a":{"a":"%!s(float64=1)"}}""", await client.GetStringAsync(new Uri("/v1.0/secrets/file/bulk", UriKind.Relative), TestContext.Current.CancellationToken));
        using var refused = await client.GetAsync(new Uri("/v1.0/secrets/file/b:d", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    [Fact]
    public async Task Tokens_and_daprs_own_variables_cannot_be_read_from_the_environment()
    {
        Environment.SetEnvironmentVariable("DAPR_SECRETS_TEST", "closed");
        Environment.SetEnvironmentVariable("SECRETS_TEST_OPEN", "open");
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("env", "secretstores.local.env", ("prefix", "SECRETS_TEST_")), Sidecars.Component("all", "secretstores.local.env")));
        using var client = Sidecars.Http(dapr["one"]);

        Assert.Equal("""{"OPEN":"open"}""", await client.GetStringAsync(new Uri("/v1.0/secrets/env/OPEN", UriKind.Relative), TestContext.Current.CancellationToken));
        Assert.Equal("""{"DAPR_SECRETS_TEST":""}""", await client.GetStringAsync(new Uri("/v1.0/secrets/all/DAPR_SECRETS_TEST", UriKind.Relative), TestContext.Current.CancellationToken));
    }

    private async Task<ComponentResource> StoreAsync(params (string Name, string Value)[] metadata)
    {
        var file = Path.Combine(_folder.FullName, "secrets.json");
        await File.WriteAllTextAsync(file, """{"a":1,"b":{"c":["x","y"],"d":true},"n":null,"t":"text","list":["x"],"large":1e21}""", TestContext.Current.CancellationToken);
        return Sidecars.Component("file", "secretstores.local.file", [("secretsFile", file), .. metadata]);
    }
}
