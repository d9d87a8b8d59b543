using System.Diagnostics;
using DaprOrders.Sidecar.Launcher;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>The launcher as a process of its own: how it ends, and what is left when it is killed.</summary>
public sealed class LauncherProcessTests : IDisposable
{
    private static readonly string Sidecar = Path.Combine(AppContext.BaseDirectory, "DaprOrders.Sidecar.dll");

    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task When_the_launcher_is_killed_its_guard_ends_the_apps()
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, deaf, say=up, wait]}}\n");
        using var launcher = Start(out var output);
        await Eventually.HoldsAsync(() => output.Contains("ready one"), "ready one");
        var app = Recorded();

        launcher.Kill();

        await Eventually.HoldsAsync(() => app.TrueForAll(Eventually.HasEnded), "the app and the guard have ended");
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
    public async Task A_second_launcher_of_the_same_run_file_is_refused()
    {
        _workspace.WithApps($"- {{appDirPath: one, command: [{Workspace.TinyApp}, wait]}}\n");
        using var record = ProcessRecord.TryOpen(_workspace.PathOf(".dapr"));

        using var launcher = Start(out var output);
        await launcher.WaitForExitAsync(TestContext.Current.CancellationToken);

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
        await launcher.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains("is for development and tests and does not start"), "the refusal");
    }

    [Fact]
    public async Task A_mistake_ends_the_start_with_1_and_nothing_was_started()
    {
        _workspace.WithApps($"- {{appDirPath: one, apPort: 1, command: [{Workspace.TinyApp}, environment=started.txt]}}\n");

        using var launcher = Start(out var output);
        await launcher.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, launcher.ExitCode);
        await Eventually.HoldsAsync(() => output.Contains("dapr.yaml:5: apps[0].apPort: unknown field; did you mean appPort?"), "the mistake");
        Assert.False(File.Exists(_workspace.PathOf("one/started.txt")));
    }

    [Fact]
    public async Task Asked_to_end_it_ends_the_apps_and_leaves_with_0()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "A test cannot send Ctrl-C to one process of its own console there.");
        _workspace.WithApps($"- {{appDirPath: one, appPort: {Workspace.FreePort()}, command: [{Workspace.TinyApp}, listen]}}\n");
        using var launcher = Start(out var output);
        await Eventually.HoldsAsync(() => output.Contains("Ctrl-C ends everything"), "up");
        var app = Recorded();

        ProcessTree.AskToEnd(launcher.Id);

        await launcher.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal(0, launcher.ExitCode);
        await Eventually.HoldsAsync(() => app.TrueForAll(Eventually.HasEnded), "the app and the guard have ended");
    }

    private Process Start(out ProcessOutput output, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Sidecar, "--run-file", _workspace.RunFile]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in new[] { "DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT", "KUBERNETES_SERVICE_HOST" })
            start.Environment.Remove(name);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var process = Process.Start(start)!;
        output = new ProcessOutput(process);
        return process;
    }

    private List<ProcessMark> Recorded() =>
        [.. System.Text.Json.JsonDocument.Parse(File.ReadAllText(_workspace.PathOf(".dapr/processes.json"))).RootElement.EnumerateArray()
            .Select(e => new ProcessMark(e.GetProperty("Id").GetInt32(), e.GetProperty("StartedUtc").GetDateTime()))];

    private sealed class ProcessOutput
    {
        private readonly List<string> _lines = [];

        public ProcessOutput(Process process)
        {
            process.OutputDataReceived += (_, e) => Add(e.Data);
            process.ErrorDataReceived += (_, e) => Add(e.Data);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        public bool Contains(string text)
        {
            lock (_lines)
                return _lines.Exists(l => l.Contains(text, StringComparison.Ordinal));
        }

        private void Add(string? line)
        {
            lock (_lines)
                _lines.Add(line ?? "");
        }
    }
}
