using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace DaprOrders.Deploy.Tests.Kustomize;

/// <summary>The other tests are worth what the evaluation is: it is kubectl's, where kubectl is installed.</summary>
public sealed class KustomizeTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task An_overlay_is_what_kubectl_makes_of_it(string overlay)
    {
        var expected = YamlNodes.Parse(await KubectlAsync(Overlay.FolderOf(overlay)), "kubectl kustomize");

        var evaluated = Kustomization.Build(Overlay.FolderOf(overlay));

        Assert.Equal(expected.Select(Identity), evaluated.Select(Identity));
        Assert.All(expected, wanted =>
        {
            var got = evaluated.Single(o => Identity(o) == Identity(wanted));
            Assert.True(JsonNode.DeepEquals(wanted, got), $"{Identity(wanted)}: expected {wanted.ToJsonString()}, got {got.ToJsonString()}");
        });
    }

    private static string Identity(JsonObject o) => $"{o["kind"]} {o["metadata"]!["namespace"]}/{o["metadata"]!["name"]}";

    private static async Task<string> KubectlAsync(string folder)
    {
        var version = await RunAsync("version", "--client", "--output=json");
        var kustomize = (string?)JsonNode.Parse(version)!["kustomizeVersion"];
        // Older ones do not know components.
        Assert.SkipUnless(kustomize is not null && Version.Parse(kustomize.TrimStart('v').Split('-')[0]) >= new Version(5, 0), $"kubectl has kustomize {kustomize ?? "2"}; expected 5 or later, as of kubectl 1.27.");
        return await RunAsync("kustomize", folder);
    }

    private static async Task<string> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        var error = process.StandardError.ReadToEndAsync(Cancellation);
        var output = await process.StandardOutput.ReadToEndAsync(Cancellation);
        await process.WaitForExitAsync(Cancellation);
        Assert.True(process.ExitCode == 0, await error);
        return output;
    }

    private static Process Start(string[] arguments)
    {
        try
        {
            return Process.Start(new ProcessStartInfo("kubectl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("kubectl is not installed. Debian's kubernetes-client (1.20) does not serve: its kustomize 2 knows neither components nor sortOptions. From kubernetes.io: 1.27 or later.");
            throw;
        }
    }
}
