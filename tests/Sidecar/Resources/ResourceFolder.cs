namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>A temporary folder with resource files, gone when disposed.</summary>
internal sealed class ResourceFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("resources-").FullName;

    /// <summary>The file is there as a whole, or as it was: a sidecar that watches the folder reads no half of it, however busy the machine is.</summary>
    public ResourceFolder With(string file, string text)
    {
        var whole = System.IO.Path.Combine(Path, file);
        var half = whole + ".half";
        File.WriteAllText(half, text);
        File.Move(half, whole, overwrite: true);
        return this;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
