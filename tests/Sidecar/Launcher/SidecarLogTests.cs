using DaprOrders.Sidecar.Launcher;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>Where sidecars log: <c>daprdLogDestination</c>.</summary>
public sealed class SidecarLogTests : IDisposable
{
    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Theory]
    [InlineData(LogDestination.File, true, false)]
    [InlineData(LogDestination.Console, false, true)]
    [InlineData(LogDestination.FileAndConsole, true, true)]
    public void The_log_of_a_sidecar_goes_where_the_run_file_says_into_a_file_of_its_own(LogDestination destination, bool inFile, bool onConsole)
    {
        Log(destination, log => log.CreateLogger("EmbeddedSidecar.a").LogInformation("it is healthy"));

        Assert.Equal(inFile, LogsOf("one").Length == 1);
        Assert.All(LogsOf("one"), log =>
        {
            Assert.Matches(@"^a_daprd_\d{14}\.log$", Path.GetFileName(log));
            Assert.Contains("it is healthy", File.ReadAllText(log), StringComparison.Ordinal);
        });
        Assert.Empty(File.ReadAllText(_workspace.PathOf("sidecar.log")));
        Assert.Equal(onConsole, _workspace.Shown.Contains("== DAPR - a == it is healthy", StringComparison.Ordinal));
    }

    [Fact]
    public void No_sidecar_writes_into_the_log_of_another_and_what_belongs_to_all_is_in_one_beside()
    {
        var two = new RunApp { AppId = "b", AppDirPath = _workspace.PathOf("two"), Location = default, DaprdLogDestination = LogDestination.File };
        Log(
            LogDestination.File,
            log =>
            {
                log.CreateLogger("EmbeddedSidecar.a").LogInformation("of a");
                log.CreateLogger("EmbeddedSidecar.b").LogInformation("of b");
                log.CreateLogger("EmbeddedSidecar.Component.store").LogInformation("of both");
            },
            two);

        Assert.EndsWith("of a", Assert.Single(File.ReadAllLines(Assert.Single(LogsOf("one")))), StringComparison.Ordinal);
        Assert.EndsWith("of b", Assert.Single(File.ReadAllLines(Assert.Single(LogsOf("two")))), StringComparison.Ordinal);
        Assert.EndsWith("of both", Assert.Single(File.ReadAllLines(_workspace.PathOf("sidecar.log"))), StringComparison.Ordinal);
    }

    [Fact]
    public void A_log_that_cannot_be_written_is_told_with_the_app_and_the_reason()
    {
        _workspace.Write("one/.dapr", "a file where the folder of the logs belongs");

        var refused = Assert.Throws<LaunchException>(() => Log(LogDestination.File, _ => { }));

        Assert.Contains("a log of a cannot be written to", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Errors_are_always_on_the_console_and_what_belongs_to_all_sidecars_where_that_of_any_is()
    {
        Log(LogDestination.File, log =>
        {
            log.CreateLogger("EmbeddedSidecar.a").LogError("it failed");
            log.CreateLogger("EmbeddedSidecar.Component.store").LogInformation("quiet");
        });
        Log(LogDestination.Console, log => log.CreateLogger("EmbeddedSidecar.Component.store").LogInformation("loud"));

        Assert.Equal($"== DAPR - a == it failed{Environment.NewLine}== DAPR == loud{Environment.NewLine}", _workspace.Shown);
    }

    [Fact]
    public void What_became_of_changed_files_is_always_on_the_console()
    {
        Log(LogDestination.File, log => log.CreateLogger(EmbeddedDapr.ChangesCategory).LogInformation("The files are mended, and taken"));

        Assert.Equal($"== DAPR == The files are mended, and taken{Environment.NewLine}", _workspace.Shown);
    }

    private void Log(LogDestination destination, Action<SidecarLog> write, params RunApp[] others)
    {
        var app = new RunApp { AppId = "a", AppDirPath = _workspace.PathOf("one"), Location = default, DaprdLogDestination = destination };
        using var log = new SidecarLog(_workspace.PathOf("sidecar.log"), _workspace.Console, TimeProvider.System, [app, .. others]);
        write(log);
    }

    private string[] LogsOf(string folder) =>
        Directory.Exists(_workspace.PathOf($"{folder}/.dapr/logs")) ? Directory.GetFiles(_workspace.PathOf($"{folder}/.dapr/logs")) : [];
}
