using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Sidecar.Tests.Resources;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>
/// The launcher as one file, which somebody else's run file needs no clone of this repository for: it has to find its guard, its native libraries and the
/// runtime by itself. On demand, since publishing compiles everything once more: <c>--explicit only --filter-class "*PublishedLauncherTests*"</c>.
/// </summary>
public sealed class PublishedLauncherTests : IDisposable
{
    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Theory(Explicit = true)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Published_as_a_single_file_it_runs_apps_and_leaves_nothing_behind_when_it_is_killed(bool selfContained)
    {
        var sidecar = await PublishAsync(selfContained);
        var port = FreePort.Next();
        // SQLite is among the native libraries that stand beside the file.
        _workspace.Write("components/store.yaml", """
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata: {name: statestore}
            spec: {type: state.sqlite, version: v1, metadata: [{name: connectionString, value: state.db}]}
            """)
            .WithApps($"- {{appID: one, appDirPath: one, appPort: {FreePort.Next()}, daprHTTPPort: {port}, command: [{Workspace.TinyApp}, deaf, child=child.txt, case]}}\n");
        using var launcher = Start(sidecar, out var output);
        List<ProcessMark> processes = [];
        try
        {
            await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything") || launcher.HasExited, "up");
            Assert.False(launcher.HasExited, output.ToString());
            using var dapr = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/v1.0/") };
            var said = await dapr.GetStringAsync(new Uri("invoke/one/method/hello", UriKind.Relative), TestContext.Current.CancellationToken);
            using var saved = await dapr.PostAsync(
                new Uri("state/statestore", UriKind.Relative), new StringContent("""[{"key": "k", "value": 1}]"""), TestContext.Current.CancellationToken);
            Assert.Equal(("hello", HttpStatusCode.NoContent), (said, saved.StatusCode));

            processes = _workspace.RecordedProcesses();
            using (var child = Process.GetProcessById(int.Parse(await File.ReadAllTextAsync(_workspace.PathOf("one/child.txt"), TestContext.Current.CancellationToken), CultureInfo.InvariantCulture)))
                processes.Add(ProcessMark.Of(child));
            launcher.Kill();

            Assert.Equal(3, processes.Count);
            await Eventually.HoldsAsync(() => processes.TrueForAll(Eventually.HasEnded), "the guard, the app and its child have ended");
        }
        finally
        {
            launcher.Kill();
            processes.ForEach(one => one.Kill());
        }
    }

    /// <summary>Beside this build, not over it; without what only takes time.</summary>
    private async Task<string> PublishAsync(bool selfContained)
    {
        await ServerProgram.RunAsync(
            "dotnet",
            [
                "publish", RepositoryFiles.PathOf("sidecar"), "--runtime", RuntimeInformation.RuntimeIdentifier, "--self-contained", selfContained ? "true" : "false",
                "-p:PublishSingleFile=true", "-p:PublishReadyToRun=false", "-p:RunAnalyzers=false", "-p:NuGetAudit=false", $"-p:ArtifactsPath={_workspace.PathOf("artifacts")}",
                "--output", _workspace.PathOf("published"), "--nologo", "--verbosity", "quiet", "-nodeReuse:false", "-p:UseSharedCompilation=false",
            ],
            TestContext.Current.CancellationToken);
        return Path.Combine(_workspace.PathOf("published"), OperatingSystem.IsWindows() ? "DaprOrders.Sidecar.exe" : "DaprOrders.Sidecar");
    }

    private Process Start(string sidecar, out ProcessOutput output)
    {
        var start = ServerProgram.Info(sidecar, ["--run-file", _workspace.RunFile]);
        // Where the runtime of these tests is; one that is self-contained does not look there.
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        foreach (var name in new[] { "DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT", "KUBERNETES_SERVICE_HOST", "DOTNET_HOST_PATH" })
            start.Environment.Remove(name);
        var process = Process.Start(start)!;
        output = new ProcessOutput(process);
        return process;
    }
}
