using EmbeddedSidecar.Components;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>How the paths of files in component metadata may be written.</summary>
public sealed class FilePathTests
{
    private static readonly string Folder = Directory.GetCurrentDirectory();

    [Theory]
    [InlineData("data/x.db")]
    [InlineData("./data/x.db")]
    [InlineData("file:data/x.db")]
    [InlineData("FILE:other/../data/x.db")]
    public void A_relative_path_starts_at_the_folder(string written) =>
        Assert.Equal(Path.Combine(Folder, "data", "x.db"), FilePaths.Resolve(written, Folder));

    [Theory]
    [InlineData("file://")]
    [InlineData("file://localhost")]
    [InlineData("file:")]
    public void An_absolute_one_may_have_the_form_of_an_address(string prefix)
    {
        var path = Path.Combine(Folder, "x.db");
        // On Windows the drive stands behind one more slash: file:///C:/x.db.
        var written = prefix + (OperatingSystem.IsWindows() && prefix.Contains("//", StringComparison.Ordinal) ? "/" : "") + path.Replace('\\', '/');

        Assert.Equal(path, FilePaths.Resolve(written, Path.GetTempPath()));
    }

    [Theory]
    [InlineData("")]
    [InlineData(":memory:")]
    [InlineData("file::memory:?cache=shared")]
    [InlineData("x.db?mode=ro")]
    public void What_is_more_than_a_path_is_left_to_the_component(string written) => Assert.Equal(written, FilePaths.Resolve(written, Folder));
}
