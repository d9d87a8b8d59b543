namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>A temporary folder with resource files, gone when disposed.</summary>
internal sealed class ResourceFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("resources-").FullName;

    public ResourceFolder With(string file, string text)
    {
        File.WriteAllText(System.IO.Path.Combine(Path, file), text);
        return this;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
