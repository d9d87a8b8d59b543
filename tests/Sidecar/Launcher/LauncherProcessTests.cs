using System.Diagnostics;
using System.Globalization;
using System.Net;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>The launcher as a process of its own: how it ends, and what is left when it is killed.</summary>
public sealed class LauncherProcessTests : IDisposable
{
    private static readonly string Sidecar = Path.Combine(AppContext.BaseDirectory, "DaprOrders.Sidecar.dll");

    /// <summary>On a busy machine, too; the application that is not up yet (Cases/app-not-up-yet) takes five times as long.</summary>
    private static readonly TimeSpan EndsWithin = TimeSpan.FromMinutes(2);

    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task When_the_launcher_is_killed_its_guard_ends_the_apps()
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, deaf, say=up, wait]}}\n");
        using var launcher = Start(out var output);
        await Eventually.HoldsAsync(() => output.Contains("ready one"), "ready one");
        var app = _workspace.RecordedProcesses();

        launcher.Kill();

        await Eventually.HoldsAsync(() => app.TrueForAll(Eventually.HasEnded), "the app and the guard have ended");
    }

    [Fact]
    public async Task A_job_is_there_again_after_the_launcher_was_killed()
    {
        var port = FreePort.Next();
        _workspace.WithApps($"- {{appDirPath: one, daprHTTPPort: {port}}}\n");
        var job = new Uri($"http://127.0.0.1:{port}/v1.0/jobs/later");
        using var http = new HttpClient();
        using (var launcher = Start(out var output))
        {
            await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");
            using var scheduled = await http.PostAsync(job, new StringContent("{\"dueTime\": \"1h\"}"), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.NoContent, scheduled.StatusCode);
            launcher.Kill();
            await EndedAsync(launcher);
        }

        using var again = Start(out var outputAgain);
        await Eventually.HoldsAsync(() => outputAgain.Contains("Ctrl-C ends everything"), "up again");

        Assert.Contains("\"dueTime\": \"1h\"", await http.GetStringAsync(job, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        again.Kill();
        await EndedAsync(again);
    }

    [Fact]
    public async Task A_start_ends_what_a_run_left_behind_that_was_killed_together_with_its_guard()
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, deaf, wait]}}\n");
        using var leftover = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "DaprOrders.TinyApp.dll"), "deaf", "wait"]))!;
        using (var earlier = ProcessRecord.TryOpen(_workspace.PathOf(".dapr"))!)
        {
            earlier.Add("one", ProcessMark.Of(leftover));
        }

        using var record = ProcessRecord.TryOpen(_workspace.PathOf(".dapr"))!;
        var ended = record.EndLeftovers();

        Assert.Equal([$"one (process {leftover.Id})"], ended);
        await leftover.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public void A_process_that_only_has_the_number_of_an_earlier_one_is_let_alone()
    {
        using var self = Process.GetCurrentProcess();
        var stranger = ProcessMark.Of(self) with { StartedUtc = self.StartTime.ToUniversalTime().AddMinutes(-1) };

        Assert.False(stranger.Kill());
    }

    [Fact]
    public async Task A_process_that_has_ended_before_anybody_looked_has_a_mark_and_nobody_is_ended_for_it()
    {
        using var brief = Process.Start(new ProcessStartInfo("dotnet", ["--version"]) { RedirectStandardOutput = true })!;
        await brief.WaitForExitAsync(TestContext.Current.CancellationToken);

        var mark = ProcessMark.Of(brief);

        Assert.Equal(brief.Id, mark.Id);
        Assert.False((mark with { Id = Environment.ProcessId }).Kill());
    }

    [Fact]
    public void A_data_folder_that_is_deleted_while_it_is_in_use_is_no_error_at_the_end()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There a folder cannot be deleted while a file in it is open.");
        using var self = Process.GetCurrentProcess();
        var record = ProcessRecord.TryOpen(_workspace.PathOf(".dapr"))!;
        record.Add("one", ProcessMark.Of(self));
        Directory.Delete(_workspace.PathOf(".dapr"), recursive: true);
        record.Remove(ProcessMark.Of(self));

        record.Dispose();
    }

    [Fact]
    public async Task A_second_launcher_of_the_same_run_file_is_refused()
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, wait]}}\n");
        using var record = ProcessRecord.TryOpen(_workspace.PathOf(".dapr"));

        using var launcher = Start(out var output);
        await EndedAsync(launcher);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains("A launcher already runs with"), "the refusal");
    }

    [Theory]
    [InlineData("DOTNET_ENVIRONMENT", "Production")]
    [InlineData("ASPNETCORE_ENVIRONMENT", "production")]
    [InlineData("KUBERNETES_SERVICE_HOST", "10.0.0.1")]
    public async Task It_does_not_start_in_production(string variable, string value)
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, wait]}}\n");

        using var launcher = Start(out var output, (variable, value));
        await EndedAsync(launcher);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains("is for development and tests and does not start"), "the refusal");
    }

    [Fact]
    public async Task A_mistake_ends_the_start_with_1_and_nothing_was_started()
    {
        _workspace.WithApps($"- {{appDirPath: one, apPort: 1, command: [{Workspace.TinyApp}, environment=started.txt]}}\n");

        using var launcher = Start(["--run-file", _workspace.RunFile, "--strict"], out var output);
        await EndedAsync(launcher);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains("dapr.yaml:5: apps[0].apPort: unknown field; did you mean appPort?"), "the mistake");
        Assert.False(File.Exists(_workspace.PathOf("one/started.txt")));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task Asked_to_end_it_ends_the_apps_and_leaves_with_0(string signal)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "A test cannot send Ctrl-C to one process of its own console there.");
        Assert.SkipWhen(signal == "INT" && IsInterruptIgnored(), "Whoever started the tests in the background had them ignore SIGINT, and so do all processes that they start.");
        _workspace.WithApps($"- {{appDirPath: one, appPort: {FreePort.Next()}, command: [{Workspace.TinyApp}, listen]}}\n");
        using var launcher = Start(out var output);
        await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");
        var app = _workspace.RecordedProcesses();

        Assert.Empty(Tool.Run("kill", "-" + signal, launcher.Id.ToString(CultureInfo.InvariantCulture)));

        await EndedAsync(launcher);
        Assert.Equal(0, launcher.ExitCode);
        await Eventually.HoldsAsync(() => app.TrueForAll(Eventually.HasEnded), "the app and the guard have ended");
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task Asked_to_end_while_an_app_is_not_up_yet_it_ends_at_once_and_leaves_nothing_behind(string signal)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "A test cannot send Ctrl-C to one process of its own console there.");
        Assert.SkipWhen(signal == "INT" && IsInterruptIgnored(), "Whoever started the tests in the background had them ignore SIGINT, and so do all processes that they start.");
        _workspace.WithCase("app-not-up-yet");
        using var launcher = Start(out _);
        await Eventually.HoldsAsync(() => File.Exists(_workspace.PathOf(".dapr/processes.json")) && _workspace.RecordedProcesses().Count == 2, "the app and the guard are started");
        var app = _workspace.RecordedProcesses();

        Assert.Empty(Tool.Run("kill", "-" + signal, launcher.Id.ToString(CultureInfo.InvariantCulture)));

        await EndedAsync(launcher);
        Assert.Equal(0, launcher.ExitCode);
        Assert.False(File.Exists(_workspace.PathOf(".dapr/processes.json")));
        await Eventually.HoldsAsync(() => app.TrueForAll(Eventually.HasEnded), "the app and the guard have ended");
    }

    [Fact]
    public async Task A_relative_run_file_starts_at_the_working_directory_and_an_app_without_a_command_is_waited_for()
    {
        var port = FreePort.Next();
        _workspace.WithApps($"- {{appDirPath: one, appPort: {port}}}\n");
        using var launcher = Start(["--run-file", Path.Combine(".", "dapr.yaml")], out var output);
        await Eventually.HoldsAsync(() => output.Contains($"waiting for one, which has no command: start it on port {port}"), "waiting for one");

        await using var app = await TestApp.StartAsync(port: port);

        await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");
        Assert.True(output.Contains("ready one"));
        await EndAsync(launcher);
    }

    [Fact]
    public async Task Reset_empties_the_data_folder_of_the_run_file_that_is_found_from_the_working_directory()
    {
        _workspace.WithApps("- {appDirPath: one}\n").Write("data/state.db", "old").Write("data/deeper/journal", "old");
        using var launcher = Start(["--reset"], out var output);
        await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");

        Assert.Equal(["launcher.lock", "sidecar.log"], Directory.GetFileSystemEntries(_workspace.PathOf("data")).Select(Path.GetFileName).Order());
        await EndAsync(launcher);
    }

    [Fact]
    public async Task Reset_is_refused_for_another_run_file()
    {
        _workspace.WithApps("- {appDirPath: one}\n").Write(".dapr/state.db", "kept");

        using var launcher = Start(["--run-file", _workspace.RunFile, "--reset"], out var output);
        await EndedAsync(launcher);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains("--reset empties data/ of this repository"), "the refusal");
        Assert.True(File.Exists(_workspace.PathOf(".dapr/state.db")));
    }

    [Fact]
    public async Task A_taken_port_ends_the_start_with_1_and_names_the_process()
    {
        await using var other = await TestApp.StartAsync();
        _workspace.WithApps($"- {{appDirPath: one, appPort: {other.Port}, command: [{Workspace.TinyApp}, environment=started.txt]}}\n");

        using var launcher = Start(out var output);
        await EndedAsync(launcher);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains($"port {other.Port}, the app port of one, is taken by {Ports.OwnerOf(other.Port)}"), "the port and its process");
        Assert.False(File.Exists(_workspace.PathOf("one/started.txt")));
    }

    [Fact]
    public async Task With_a_token_for_the_sidecars_the_sample_is_stocked_and_the_curl_line_carries_it_unseen()
    {
        await using var shop = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = HttpMethods.IsGet(context.Request.Method) ? StatusCodes.Status404NotFound : StatusCodes.Status200OK;
            return Task.CompletedTask;
        });
        _workspace.WithApps(string.Concat(new[] { "ordering", "inventory" }.Select(app =>
            $"- {{appID: {app}, appDirPath: one, appPort: {shop.Port}, daprHTTPPort: {FreePort.Next()}}}\n")));
        using var launcher = Start([], out var output, ("DAPR_API_TOKEN", "only-for-those-who-may"));
        await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");

        var calls = new List<string>();
        while (!calls.Contains("POST /products/tea-001/receipts"))
            calls.Add(await shop.NextCallAsync());
        Assert.True(output.Contains(OperatingSystem.IsWindows() ? "dapr-api-token: %DAPR_API_TOKEN%" : "dapr-api-token: $DAPR_API_TOKEN"));
        Assert.False(output.Contains("only-for-those-who-may"));
        Assert.True(output.Contains("/openapi/v1.json"));
        await EndAsync(launcher);
    }

    [Fact]
    public async Task Of_other_apps_it_is_not_said_that_they_describe_themselves()
    {
        await using var app = await TestApp.StartAsync();
        var port = FreePort.Next();
        _workspace.WithApps($"- {{appID: other, appDirPath: one, appPort: {app.Port}, daprHTTPPort: {port}}}\n");
        using var launcher = Start(out var output);
        await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");

        Assert.True(output.Contains($"http://localhost:{port}/v1.0/invoke/other/method/"));
        Assert.False(output.Contains("/openapi"));
        await EndAsync(launcher);
    }

    /// <summary>Ends a launcher without apps of its own; where it cannot be asked to, by force.</summary>
    private static async Task EndAsync(Process launcher)
    {
        if (OperatingSystem.IsWindows())
            launcher.Kill();
        else
            ProcessTree.AskToEnd(launcher.Id);
        await EndedAsync(launcher);
    }

    private static bool IsInterruptIgnored() =>
        OperatingSystem.IsLinux()
        && File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is var ignored
        && (ulong.Parse(ignored.AsSpan("SigIgn:".Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 0b10) != 0;

    /// <summary>A launcher that does not end must not keep the whole run waiting.</summary>
    private static async Task EndedAsync(Process launcher)
    {
        try
        {
            await launcher.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(EndsWithin, TestContext.Current.CancellationToken);
        }
        catch
        {
            launcher.Kill(entireProcessTree: true);
            throw;
        }
    }

    private Process Start(out ProcessOutput output, params (string Name, string Value)[] environment) =>
        Start(["--run-file", _workspace.RunFile], out output, environment);

    private Process Start(string[] arguments, out ProcessOutput output, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Sidecar, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _workspace.Folder,
        };
        foreach (var name in new[] { "DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT", "KUBERNETES_SERVICE_HOST" })
            start.Environment.Remove(name);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var process = Process.Start(start)!;
        output = new ProcessOutput(process);
        return process;
    }
}
