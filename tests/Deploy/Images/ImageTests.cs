using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json.Nodes;

namespace DaprOrders.Deploy.Tests.Images;

/// <summary>The images that the manifests name are those that the SDK makes of the services.</summary>
public sealed class ImageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Services =>
        [.. Directory.GetFiles(RepositoryFiles.PathOf("services"), "*.csproj", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains("Microsoft.NET.Sdk.Web", StringComparison.Ordinal)).Select(file => Path.GetFileNameWithoutExtension(file)!)];

    [Theory]
    [MemberData(nameof(Services))]
    public async Task The_image_of_a_service_is_the_one_that_its_deployment_names(string service)
    {
        var image = JsonNode.Parse(await Msbuild.RunAsync(
            Cancellation,
            $"services/{service}",
            "-t:ComputeContainerConfig",
            "-getProperty:ContainerRepository,ContainerBaseImage,ContainerUser",
            "-getItem:ContainerImageTags,ContainerPort,ContainerLabel"))!;
        var properties = image["Properties"]!;
        var deployment = Overlay.Of(Overlay.Try).Pods.Values.Select(pod => pod.Spec.Containers[0])
            .Single(container => container.Image == $"{properties["ContainerRepository"]}:{Identities("ContainerImageTags").Single()}");

        Assert.EndsWith("/aspnet:10.0-noble-chiseled", Overlay.Text(properties["ContainerBaseImage"]), StringComparison.Ordinal);
        Assert.Equal($"{deployment.SecurityContext.RunAsUser}", Overlay.Text(properties["ContainerUser"]));
        Assert.Equal($"{deployment.Ports.Single().ContainerPort}", Identities("ContainerPort").Single());
        Assert.Superset(
            new HashSet<string> { "org.opencontainers.image.title", "org.opencontainers.image.description", "org.opencontainers.image.version", "org.opencontainers.image.licenses" },
            Identities("ContainerLabel").ToHashSet());

        IEnumerable<string> Identities(string items) => image["Items"]![items]!.AsArray().Select(item => Overlay.Text(item!["Identity"]));
    }

    [Fact]
    public async Task One_command_makes_the_images_of_all_services()
    {
        var items = JsonNode.Parse(await Msbuild.RunAsync(Cancellation, "deploy/images.proj", "-getItem:Service"))!["Items"]!["Service"]!.AsArray();

        Assert.Equal(Services.Select(service => service.Data).Order(StringComparer.Ordinal), items.Select(item => Overlay.Text(item!["Filename"])).Order(StringComparer.Ordinal));
    }

    /// <summary>Where the command is run, and not in the folder of each service. The separator says that it is a folder.</summary>
    [Theory]
    [InlineData("images")]
    [InlineData("images/")]
    public async Task Archives_of_images_are_made_in_one_folder(string path)
    {
        var archives = await Msbuild.RunAsync(Cancellation, "deploy/images.proj", $"-p:ContainerArchiveOutputPath={path}", "-getProperty:Archives");
        var none = await Msbuild.RunAsync(Cancellation, "deploy/images.proj", "-getProperty:Archives");

        Assert.Equal($"ContainerArchiveOutputPath={RepositoryFiles.PathOf("images")}{Path.DirectorySeparatorChar}", archives.Trim());
        Assert.Equal("", none.Trim());
    }

    /// <summary>The real base image is not fetched here: another one stands in for it.</summary>
    [Fact]
    public async Task An_image_runs_the_service_as_a_user_that_is_not_root()
    {
        await using var registry = await BaseImageRegistry.StartAsync(Cancellation);
        var folder = Directory.CreateTempSubdirectory("image-");
        try
        {
            var archive = Path.Combine(folder.FullName, "image.tar");
            await Msbuild.RunAsync(
                Cancellation,
                "services/PaymentProvider",
                "-t:Publish;PublishContainer",
                "-p:NoBuild=true;_IsPublishing=true",
                $"-p:Configuration={Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory))}",
                $"-p:PublishDir={folder.FullName}/publish/",
                $"-p:ContainerBaseImage={registry.Image}",
                $"-p:ContainerArchiveOutputPath={archive}");

            var files = FilesIn(File.OpenRead(archive));
            var manifest = JsonNode.Parse(files["manifest.json"])![0]!;
            var config = JsonNode.Parse(files[Overlay.Text(manifest["Config"])])!["config"]!;

            Assert.Equal("daprorders/payment-provider:1.0.0", Overlay.Text(manifest["RepoTags"]!.AsArray().Single()));
            Assert.Equal("1654", Overlay.Text(config["User"]));
            Assert.Equal(["dotnet", "/app/DaprOrders.PaymentProvider.dll"], config["Entrypoint"]!.AsArray().Select(Overlay.Text));
            Assert.Contains("5199/tcp", config["ExposedPorts"]!.AsObject().Select(port => port.Key));
            Assert.Equal("MIT", Overlay.Text(config["Labels"]!["org.opencontainers.image.licenses"]));
            Assert.Contains("app/DaprOrders.PaymentProvider.dll", FilesIn(new GZipStream(new MemoryStream(files[Overlay.Text(manifest["Layers"]!.AsArray()[^1])]), CompressionMode.Decompress)).Keys);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static Dictionary<string, byte[]> FilesIn(Stream stream)
    {
        using var tar = new TarReader(stream);
        var files = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        while (tar.GetNextEntry(copyData: true) is { } entry)
        {
            using var bytes = new MemoryStream();
            entry.DataStream?.CopyTo(bytes);
            files[entry.Name.TrimStart('.', '/')] = bytes.ToArray();
        }

        return files;
    }
}
