using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Components.Bindings.LocalStorage;

/// <summary>
/// bindings.localstorage: files below a folder (components-contrib bindings/localstorage). The metadata field <c>fileName</c> names one; a new one
/// without a name gets a UUID. Data in quotes, and what looks like base64, is decoded before it is written.
/// </summary>
internal sealed class LocalStorageBinding : IOutputBinding
{
    private const string RootPath = "rootPath";
    private const string FileName = "fileName";

    /// <summary>Nobody's data is there.</summary>
    private static readonly string[] ForbiddenRoots = ["/proc", "/sys", "/boot", "/var/run/secrets"];

    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string _root;

    private LocalStorageBinding(string root) => _root = root;

    public static ComponentType ComponentType { get; } = new(
        "bindings.localstorage",
        "v1",
        [RootPath, BindingFields.Route, BindingFields.Direction],
        (metadata, _, _) => Task.FromResult<IAsyncDisposable>(Open(metadata)))
    {
        Paths = [RootPath],
    };

    public IReadOnlyList<string> Operations { get; } = ["create", "get", "list", "delete"];

    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        var name = call.Metadata.GetValueOrDefault(FileName, "");
        if (name.Length == 0 && call.Operation == "create")
            name = Uuid.Next();
        var path = PathOf(name);
        try
        {
            return call.Operation switch
            {
                "create" => await CreateAsync(path, call.Data, cancellationToken),
                "get" => await GetAsync(path, cancellationToken),
                "list" => List(path),
                _ => Delete(path),
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BindingException($"error opening path {path}: {e.Message}", e);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static LocalStorageBinding Open(ComponentMetadata metadata)
    {
        var given = Path.GetFullPath(metadata.Required(RootPath));
        var disk = Path.GetPathRoot(given)!;
        var root = ContainedPath.Join(disk, given[disk.Length..]);
        if (ForbiddenRoots.Any(forbidden => root == forbidden || root.StartsWith(forbidden + "/", StringComparison.Ordinal)))
            throw metadata.Invalid(RootPath, $"in a folder of data, none of {string.Join(", ", ForbiddenRoots)}");
        if (File.Exists(root))
            throw metadata.Invalid(RootPath, "a folder, and not a file");
        Directory.CreateDirectory(root);
        return new(root);
    }

    private async Task<BindingAnswer> CreateAsync(string path, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None);
        await file.WriteAsync(Decoded(data), cancellationToken);
        return Answer(new { fileName = Path.GetRelativePath(_root, path) });
    }

    private static async Task<BindingAnswer> GetAsync(string path, CancellationToken cancellationToken)
    {
        if (Directory.Exists(path))
            throw new BindingException($"error reading file {path}: read {path}: is a directory");
        return File.Exists(path)
            ? new(await File.ReadAllBytesAsync(path, cancellationToken), BindingAnswer.NoMetadata)
            : throw new BindingException($"file not found: {path}");
    }

    /// <summary>All files below, with their whole paths; null, as Go writes an empty list.</summary>
    private static BindingAnswer List(string path)
    {
        if (File.Exists(path))
            throw new BindingException($"unable to list files as the file specified is not a directory: {path}");
        if (!Directory.Exists(path))
            throw new BindingException($"error getting stats for path {path}: stat {path}: no such file or directory");
        string[] files = [.. Files(new DirectoryInfo(path))];
        return Answer(files.Length == 0 ? null : files);
    }

    /// <summary>A link is told, and not followed: it may lead anywhere.</summary>
    private static IEnumerable<string> Files(DirectoryInfo folder) => folder.EnumerateFileSystemInfos()
        .OrderBy(entry => entry.Name, StringComparer.Ordinal)
        .SelectMany(entry => entry is DirectoryInfo { LinkTarget: null } inner ? Files(inner) : [entry.FullName]);

    private static BindingAnswer? Delete(string path)
    {
        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
            throw new BindingException($"error deleting file {path}: remove {path}: directory not empty");
        if (Directory.Exists(path))
            Directory.Delete(path);
        else if (File.Exists(path))
            File.Delete(path);
        else
            throw new BindingException($"error deleting file {path}: remove {path}: no such file or directory");
        return null;
    }

    private string PathOf(string name)
    {
        try
        {
            return ContainedPath.Join(_root, name);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BindingException($"error getting absolute path for file {name}: {e.Message}", e);
        }
    }

    private static ReadOnlyMemory<byte> Decoded(ReadOnlyMemory<byte> data)
    {
        if (data.Span is [(byte)'"', .., (byte)'"'] && GoJson.IsValid(data.Span))
            data = Encoding.UTF8.GetBytes(JsonSerializer.Deserialize<string>(data.Span)!);
        var decoded = new byte[data.Length];
        return !data.Span.ContainsAny((byte)' ', (byte)'\t') && Convert.TryFromBase64String(Encoding.Latin1.GetString(data.Span), decoded, out var length)
            ? decoded.AsMemory(0, length)
            : data;
    }

    private static BindingAnswer Answer(object? json) => new(JsonSerializer.SerializeToUtf8Bytes(json, Json), BindingAnswer.NoMetadata);
}
