using System.Text;
using System.Text.Json;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.PubSub;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>bindings.localstorage keeps files, and never leaves its folder.</summary>
public sealed class LocalStorageBindingTests : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ComponentCatalog _catalog = new(NullLoggerFactory.Instance, TimeProvider.System);

    private string Root => _folder.File("root");

    public async ValueTask DisposeAsync()
    {
        await _catalog.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Files_are_created_read_listed_and_deleted()
    {
        var files = await OpenAsync();

        Assert.Equal("""{"fileName":"a/one.txt"}""", (await InvokeAsync(files, "create", "a/one.txt", "plain text!")).Replace("\\\\", "/", StringComparison.Ordinal));
        await InvokeAsync(files, "create", "two.txt", "\"in \\\"quotes\\\"\"");
        await InvokeAsync(files, "create", "three.bin", Convert.ToBase64String("was base64"u8));

        Assert.Equal("plain text!", await InvokeAsync(files, "get", "a/one.txt"));
        Assert.Equal("in \"quotes\"", await InvokeAsync(files, "get", "two.txt"));
        Assert.Equal("was base64", await InvokeAsync(files, "get", "three.bin"));
        Assert.Equal(
            [Path.Combine(Root, "a", "one.txt"), Path.Combine(Root, "three.bin"), Path.Combine(Root, "two.txt")],
            JsonSerializer.Deserialize<string[]>(await InvokeAsync(files, "list", ""))!);
        Assert.Null(await files.InvokeAsync(Call("delete", "two.txt"), TestContext.Current.CancellationToken));
        var missing = await Assert.ThrowsAsync<BindingException>(() => InvokeAsync(files, "get", "two.txt"));
        Assert.Equal($"file not found: {Path.Combine(Root, "two.txt")}", missing.Message);
    }

    [Fact]
    public async Task An_empty_folder_is_null_and_a_file_without_a_name_gets_one()
    {
        var files = await OpenAsync();

        Assert.Equal("null", await InvokeAsync(files, "list", ""));
        var created = JsonSerializer.Deserialize<Dictionary<string, string>>(await InvokeAsync(files, "create", "", "x y"))!;

        Assert.True(Guid.TryParse(created["fileName"], out _));
        Assert.Equal("x y", await InvokeAsync(files, "get", created["fileName"]));
    }

    [Theory]
    [InlineData("../outside.txt")]
    [InlineData("../../../../../../outside.txt")]
    [InlineData("/outside.txt")]
    [InlineData("a/../../outside.txt")]
    [InlineData("./a/./../..//outside.txt")]
    public async Task No_name_leads_out_of_the_folder(string name)
    {
        var files = await OpenAsync();

        await InvokeAsync(files, "create", name, "x y");

        Assert.Equal([Path.Combine(Root, "outside.txt")], Directory.GetFiles(_folder.File("."), "*.txt", SearchOption.AllDirectories).Select(Path.GetFullPath));
    }

    [Theory]
    [InlineData("with\0nul")]
    [InlineData("c:\\outside.txt")]
    [InlineData("..\\outside.txt")]
    public async Task What_only_some_systems_take_for_a_path_stays_inside_or_is_refused(string name)
    {
        var files = await OpenAsync();

        await Record.ExceptionAsync(() => InvokeAsync(files, "create", name, "x y"));

        Assert.All(Directory.GetFiles(_folder.File("."), "*", SearchOption.AllDirectories), file => Assert.StartsWith(Root, Path.GetFullPath(file), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("absolute")]
    [InlineData("relative")]
    public async Task A_link_in_the_folder_is_followed_as_if_the_folder_were_the_whole_disk(string kind)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links are for administrators there.");
        var files = await OpenAsync();
        var outside = Directory.CreateDirectory(_folder.File("outside")).FullName;
        File.WriteAllText(Path.Combine(outside, "secret.txt"), "secret");
        Directory.CreateSymbolicLink(Path.Combine(Root, "link"), kind == "absolute" ? outside : "../outside");

        await InvokeAsync(files, "create", "link/new.txt", "x y");

        Assert.Equal(["secret.txt"], Directory.GetFiles(outside).Select(Path.GetFileName));
        await Assert.ThrowsAsync<BindingException>(() => InvokeAsync(files, "get", "link/secret.txt"));
        Assert.DoesNotContain("secret.txt", await InvokeAsync(files, "list", ""), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Links_that_lead_in_a_circle_are_refused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links are for administrators there.");
        var files = await OpenAsync();
        File.CreateSymbolicLink(Path.Combine(Root, "a"), "b");
        File.CreateSymbolicLink(Path.Combine(Root, "b"), "a");

        var refused = await Assert.ThrowsAsync<BindingException>(() => InvokeAsync(files, "get", "a"));

        Assert.Contains("too many levels of symbolic links", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/proc/self")]
    [InlineData("/sys")]
    public async Task Folders_of_the_system_are_no_place_for_files(string root)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "They are of Unix.");

        var refused = await Assert.ThrowsAsync<ResourceException>(() => OpenAsync(root));

        Assert.Contains("'rootPath' must be in a folder of data", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bindings.localstorage", "rootpaths", "rootPath")]
    [InlineData("bindings.http", "uri", "url")]
    public void A_field_that_it_does_not_know_is_told(string type, string unknown, string known)
    {
        var warning = Assert.Single(ComponentTypes.Check(Sidecars.Component("files", type, (unknown, "x"), (known, "x"), ("direction", "output"))));

        Assert.True(warning.IsWarning);
        Assert.Contains($"has no metadata field '{unknown}'", warning.ToString(), StringComparison.Ordinal);
    }

    private async Task<IOutputBinding> OpenAsync(string? root = null)
    {
        var component = Sidecars.Component("files", "bindings.localstorage", ("rootPath", root ?? Root));
        return (IOutputBinding)(await _catalog.LoadAsync([component], "one", "default", _folder.File("."), TestContext.Current.CancellationToken)).Single().Instance;
    }

    private static async Task<string> InvokeAsync(IOutputBinding binding, string operation, string name, string data = "") =>
        Encoding.UTF8.GetString((await binding.InvokeAsync(Call(operation, name, data), TestContext.Current.CancellationToken))!.Data);

    private static BindingCall Call(string operation, string name, string data = "") =>
        new(operation, Encoding.UTF8.GetBytes(data), new Dictionary<string, string> { ["fileName"] = name });
}
