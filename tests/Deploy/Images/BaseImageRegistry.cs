using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Deploy.Tests.Images;

/// <summary>A registry on this machine with one image, which stands in for the base image: nothing in it but a file.</summary>
internal sealed class BaseImageRegistry : IAsyncDisposable
{
    private const string ManifestType = "application/vnd.docker.distribution.manifest.v2+json";

    private readonly Dictionary<string, byte[]> _blobs = new(StringComparer.Ordinal);
    private readonly WebApplication _app;

    private BaseImageRegistry(WebApplication app) => _app = app;

    /// <summary>For ContainerBaseImage.</summary>
    public string Image => $"{new Uri(_app.Urls.Single()).Authority.Replace("127.0.0.1", "localhost", StringComparison.Ordinal)}/base:1.0";

    public static async Task<BaseImageRegistry> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration["urls"] = "http://127.0.0.1:0";
        var app = builder.Build();
        var registry = new BaseImageRegistry(app);
        var manifest = registry.MakeImage();
        app.MapGet("/v2/", () => Results.Ok());
        app.MapMethods("/v2/base/manifests/{reference}", ["GET", "HEAD"], (HttpContext context) =>
        {
            context.Response.Headers["Docker-Content-Digest"] = DigestOf(manifest);
            return Results.Bytes(manifest, ManifestType);
        });
        app.MapMethods("/v2/base/blobs/{digest}", ["GET", "HEAD"], (string digest) =>
            registry._blobs.TryGetValue(digest, out var blob) ? Results.Bytes(blob, "application/octet-stream") : Results.NotFound());
        await app.StartAsync(cancellationToken);
        return registry;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private byte[] MakeImage()
    {
        // A layer of its own for each run: the SDK keeps layers by their digest.
        var layer = TarWith("etc/base", Guid.NewGuid().ToString());
        var packed = Pack(layer);
        var config = JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture is System.Runtime.InteropServices.Architecture.Arm64 ? "arm64" : "amd64",
            os = "linux",
            config = new { Env = new[] { "PATH=/usr/bin", "ASPNETCORE_HTTP_PORTS=8080" } },
            rootfs = new { type = "layers", diff_ids = new[] { DigestOf(layer) } },
        });
        return JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = ManifestType,
            config = Keep("application/vnd.docker.container.image.v1+json", config),
            layers = new[] { Keep("application/vnd.docker.image.rootfs.diff.tar.gzip", packed) },
        });
    }

    private object Keep(string mediaType, byte[] blob)
    {
        _blobs[DigestOf(blob)] = blob;
        return new { mediaType, digest = DigestOf(blob), size = blob.Length };
    }

    private static byte[] TarWith(string name, string text)
    {
        using var buffer = new MemoryStream();
        using (var tar = new TarWriter(buffer, leaveOpen: true))
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) });
        return buffer.ToArray();
    }

    private static byte[] Pack(byte[] bytes)
    {
        using var buffer = new MemoryStream();
        using (var gzip = new GZipStream(buffer, CompressionLevel.Fastest))
            gzip.Write(bytes);
        return buffer.ToArray();
    }

    private static string DigestOf(byte[] bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";
}
