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

        Assert.Equal(expected.Select(Identity).Order(StringComparer.Ordinal), evaluated.Select(Identity).Order(StringComparer.Ordinal));
        Assert.All(expected, wanted =>
        {
            var got = evaluated.Single(o => Identity(o) == Identity(wanted));
            Assert.True(JsonNode.DeepEquals(wanted, got), $"{Identity(wanted)}: expected {wanted.ToJsonString()}, got {got.ToJsonString()}");
        });
    }

    private static string Identity(JsonObject o) => $"{o["kind"]} {o["metadata"]!["namespace"]}/{o["metadata"]!["name"]}";

    private static async Task<string> KubectlAsync(string folder)
    {
        var start = new ProcessStartInfo("kubectl") { ArgumentList = { "kustomize", folder }, RedirectStandardOutput = true, RedirectStandardError = true };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("kubectl is not installed.");
            throw;
        }

        using (process)
        {
            var error = process.StandardError.ReadToEndAsync(Cancellation);
            var output = await process.StandardOutput.ReadToEndAsync(Cancellation);
            await process.WaitForExitAsync(Cancellation);
            Assert.True(process.ExitCode == 0, await error);
            return output;
        }
    }
}
