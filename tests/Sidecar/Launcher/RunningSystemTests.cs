using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>Real processes: started, watched, started again, ended.</summary>
public sealed class RunningSystemTests : IDisposable
{
    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task An_app_gets_its_folder_the_environment_of_dapr_run_and_a_sidecar_and_is_told_ready()
    {
        var port = FreePort.Next();
        _workspace.WithApps($"- {{appID: shop, appDirPath: one, appPort: {port}, env: {{COLOUR: blue}}, command: [{Workspace.TinyApp}, environment=seen.txt, listen]}}\n");

        var (system, record) = await _workspace.StartAsync();
        await using (system)
        using (record)
        {
            await system.Ready.WaitAsync(TestContext.Current.CancellationToken);

            var sidecar = system.Dapr["shop"];
            var seen = await File.ReadAllLinesAsync(_workspace.PathOf("one/seen.txt"), TestContext.Current.CancellationToken);
            string[] expected =
            [
                "APP_ID=shop", $"APP_PORT={port}", "APP_PROTOCOL=http", $"DAPR_HTTP_PORT={sidecar.HttpPort}", $"DAPR_GRPC_PORT={sidecar.GrpcPort}", "COLOUR=blue",
                $"cwd={_workspace.PathOf("one")}",
            ];
            Assert.Subset(seen.ToHashSet(), expected.ToHashSet());
            Assert.Contains("ready shop", _workspace.Shown, StringComparison.Ordinal);
            using var http = new HttpClient();
            Assert.Equal(HttpStatusCode.NoContent, (await http.GetAsync($"http://localhost:{sidecar.HttpPort}/v1.0/healthz", TestContext.Current.CancellationToken)).StatusCode);
        }
    }

    [Fact]
    public async Task The_metadata_of_a_sidecar_tell_what_the_Dapr_CLI_writes_there_and_follow_a_restart_of_the_app()
    {
        _workspace.WithApps(
            $"- {{appID: shop, appDirPath: one, appPort: {FreePort.Next()}, command: [{Workspace.TinyApp}, listen]}}\n"
            + "- {appID: silent, appDirPath: two, daprdLogDestination: console}\n");
        _workspace.Write("dapr.yaml", File.ReadAllText(_workspace.RunFile) + "name: everything\n");
        var (system, record) = await _workspace.StartAsync();
        await using var ending = system;
        using var closing = record;
        await system.Ready.WaitAsync(TestContext.Current.CancellationToken);
        var supervisor = Assert.Single(system.Supervisors);
        var first = supervisor.Process!;

        Assert.Equal(
            new Dictionary<string, string>
            {
                ["appCommand"] = $"dotnet {Path.Combine(AppContext.BaseDirectory, "DaprOrders.TinyApp.dll")} listen",
                ["appLogPath"] = Assert.Single(Directory.GetFiles(_workspace.PathOf("one/.dapr/logs"), "shop_app_*.log")),
                ["appPID"] = $"{first.Id}",
                ["cliPID"] = $"{Environment.ProcessId}",
                ["daprRuntimeVersion"] = "1.18.1",
                ["daprdLogPath"] = Assert.Single(Directory.GetFiles(_workspace.PathOf("one/.dapr/logs"), "shop_daprd_*.log")),
                ["runTemplateName"] = "everything",
                ["runTemplatePath"] = _workspace.RunFile,
            },
            await ExtendedMetadataAsync(system, "shop"));
        Assert.Equal(["cliPID", "daprRuntimeVersion", "runTemplateName", "runTemplatePath"], (await ExtendedMetadataAsync(system, "silent")).Keys.Order(StringComparer.Ordinal));

        first.Kill();

        await Eventually.HoldsAsync(() => _workspace.Shown.Contains("shop again", StringComparison.Ordinal), "ready again");
        Assert.Equal($"{supervisor.Process!.Id}", (await ExtendedMetadataAsync(system, "shop"))["appPID"]);
    }

    [Fact]
    public async Task Files_that_the_run_file_names_are_followed_and_a_mistake_in_them_is_on_the_console()
    {
        _workspace.WithApps($"- {{appID: shop, appDirPath: one, appPort: {FreePort.Next()}, command: [{Workspace.TinyApp}, listen]}}\n");
        var (system, record) = await _workspace.StartAsync();
        await using var ending = system;
        using var closing = record;
        await system.Ready.WaitAsync(TestContext.Current.CancellationToken);
        const string Other = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: other}\nspec:\n  version: v1\n  type: ";

        _workspace.Write("components/other.yaml", Other + "state.nosuch\n");
        await Eventually.HoldsAsync(() => _workspace.Shown.Contains("other.yaml:", StringComparison.Ordinal), "the mistake is told");
        Assert.Contains("state.nosuch", _workspace.Shown, StringComparison.Ordinal);

        _workspace.Write("components/other.yaml", Other + "state.in-memory\n");
        await Eventually.HoldsAsync(() => system.Dapr["shop"].Runtime.Loaded.StateStores.ContainsKey("other"), "the component is there");
    }

    [Fact]
    public async Task An_app_that_is_killed_is_started_again_with_its_last_lines_told_and_its_output_in_its_log()
    {
        _workspace.WithApps($"- {{appDirPath: one, appPort: {FreePort.Next()}, command: [{Workspace.TinyApp}, say=the-last-line, listen]}}\n");
        var (system, record) = await _workspace.StartAsync();
        await using var ending = system;
        using var closing = record;
        await system.Ready.WaitAsync(TestContext.Current.CancellationToken);
        var supervisor = Assert.Single(system.Supervisors);
        var first = supervisor.Process!;

        first.Kill();

        await Eventually.HoldsAsync(() => _workspace.Shown.Contains("one again", StringComparison.Ordinal), "ready again");
        Assert.NotEqual(first.Id, supervisor.Process!.Id);
        Assert.Equal(2, supervisor.Starts);
        Assert.Contains("one died with exit code", _workspace.Shown, StringComparison.Ordinal);
        Assert.Contains("    the-last-line", _workspace.Shown, StringComparison.Ordinal);
        var log = Assert.Single(Directory.GetFiles(_workspace.PathOf("one/.dapr/logs"), "one_app_*.log"));
        await using var file = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        Assert.Equal("the-last-line", (await new StreamReader(file).ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n')[0].Trim());
    }

    [Fact]
    public async Task With_fail_fast_an_app_that_dies_at_once_three_times_in_a_row_fails_the_run_with_its_error()
    {
        _workspace.WithApps($"- {{appDirPath: one, appPort: {FreePort.Next()}, command: [{Workspace.TinyApp}, complain=no-database, exit=7]}}\n");
        var (system, record) = await _workspace.StartAsync(failFast: true);
        await using var ending = system;
        using var closing = record;

        var failure = await Assert.ThrowsAsync<LaunchException>(() => system.Failed.WaitAsync(TestContext.Current.CancellationToken));

        Assert.Contains("one died with exit code 7", failure.Message, StringComparison.Ordinal);
        Assert.Contains("3 times in a row", failure.Message, StringComparison.Ordinal);
        Assert.Contains("no-database", failure.Message, StringComparison.Ordinal);
        Assert.Equal(3, system.Supervisors[0].Starts);
    }

    [Fact]
    public async Task An_app_without_a_port_that_ends_with_0_has_done_its_work()
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, exit=0]}}\n");
        var (system, record) = await _workspace.StartAsync();
        await using var ending = system;
        using var closing = record;

        await system.Supervisors[0].Running.WaitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, system.Supervisors[0].Starts);
        Assert.Contains("done one has ended", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stopping_leaves_no_process_not_even_one_that_an_app_started_and_that_is_deaf()
    {
        _workspace.WithApps(
            $"- {{appDirPath: one, command: [{Workspace.TinyApp}, child=child.txt, wait]}}\n"
            + $"- {{appDirPath: two, command: [{Workspace.TinyApp}, deaf, say=deaf, wait]}}\n");
        var (system, record) = await _workspace.StartAsync();
        await Eventually.HoldsAsync(() => File.Exists(_workspace.PathOf("one/child.txt")) && new FileInfo(_workspace.PathOf("one/child.txt")).Length > 0, "the child's number");
        using var child = Process.GetProcessById(int.Parse(await File.ReadAllTextAsync(_workspace.PathOf("one/child.txt"), TestContext.Current.CancellationToken), CultureInfo.InvariantCulture));
        var marks = system.Supervisors.Select(s => s.Process!).Append(ProcessMark.Of(child)).ToList();

        await system.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        record.Dispose();

        await Eventually.HoldsAsync(() => marks.TrueForAll(Eventually.HasEnded), "all processes have ended");
        Assert.False(File.Exists(_workspace.PathOf(".dapr/processes.json")));
    }

    [Fact]
    public async Task An_app_without_a_command_is_waited_for_on_its_port()
    {
        var port = FreePort.Next();
        _workspace.WithApps($"- {{appDirPath: one, appPort: {port}}}\n");
        var (system, record) = await _workspace.StartAsync();
        await using var ending = system;
        using var closing = record;
        Assert.False(system.Ready.IsCompleted);

        _workspace.Write("two/dapr.yaml", "");
        var app = new RunApp { AppId = "by-hand", AppDirPath = _workspace.PathOf("two"), Location = default, Command = ["dotnet", Path.Combine(AppContext.BaseDirectory, "DaprOrders.TinyApp.dll"), "listen"] };
        using var log = new AppLog(app, _workspace.Console, TimeProvider.System);
        using var byHand = AppProcess.Start(app, new Dictionary<string, string> { ["APP_PORT"] = port.ToString(CultureInfo.InvariantCulture) }, log);

        await system.Ready.WaitAsync(TestContext.Current.CancellationToken);
        await byHand.StopAsync(TimeSpan.FromSeconds(5));
        Assert.Contains("waiting for one", _workspace.Shown, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_that_does_not_exist_is_named_with_its_place_in_the_run_file()
    {
        _workspace.WithApps("- {appDirPath: one, command: [no-such-program]}\n");

        var failure = Assert.Throws<LaunchException>(() =>
        {
            var app = _workspace.Plan().RunFile.Apps[0];
            using var log = new AppLog(app, _workspace.Console, TimeProvider.System);
            AppProcess.Start(app, new Dictionary<string, string>(), log).Dispose();
        });

        Assert.StartsWith($"{_workspace.RunFile}:5: one cannot be started: \"no-such-program\"", failure.Message, StringComparison.Ordinal);
    }

    private static async Task<Dictionary<string, string>> ExtendedMetadataAsync(RunningSystem system, string app)
    {
        using var http = new HttpClient();
        var metadata = await http.GetFromJsonAsync<JsonElement>($"http://127.0.0.1:{system.Dapr[app].HttpPort}/v1.0/metadata", TestContext.Current.CancellationToken);
        return metadata.GetProperty("extended").Deserialize<Dictionary<string, string>>()!;
    }

    [Fact]
    public async Task A_port_that_the_system_gives_to_nobody_is_told()
    {
        const int Low = 81;
        Assert.SkipWhen(MayListenOn(Low), $"This user may listen on port {Low} here.");
        _workspace.WithApps($"- {{appDirPath: one, daprHTTPPort: {Low}}}\n");

        var refusal = await Assert.ThrowsAsync<LaunchException>(() => _workspace.StartAsync());

        Assert.StartsWith($"port {Low}, the Dapr HTTP port of one, is refused by the system: ", refusal.Message, StringComparison.Ordinal);

        static bool MayListenOn(int port)
        {
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return true;
            }
            catch (SocketException e)
            {
                return e.SocketErrorCode != SocketError.AccessDenied;
            }
        }
    }

    [Theory]
    [InlineData("daprHTTPPort", "Dapr HTTP port")]
    [InlineData("metricsPort", "metrics port")]
    public void A_taken_port_is_named_with_its_process(string field, string name)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        _workspace.WithApps($"- {{appDirPath: one, {field}: {port}}}\n- {{appDirPath: two, daprGRPCPort: {FreePort.Next()}}}\n");

        var taken = Assert.Single(Ports.FindTaken(_workspace.Plan().RunFile));

        Assert.StartsWith($"port {port}, the {name} of one, is taken by ", taken, StringComparison.Ordinal);
        if (OperatingSystem.IsLinux() || OperatingSystem.IsWindows())
            Assert.Contains($"process {Environment.ProcessId} (", taken, StringComparison.Ordinal);
    }
}
