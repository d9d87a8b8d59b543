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
    public void The_log_of_a_sidecar_goes_where_the_run_file_says(LogDestination destination, bool inFile, bool onConsole)
    {
        Log(destination, log => log.CreateLogger("EmbeddedSidecar.a").LogInformation("it is healthy"));

        Assert.Equal(inFile, File.ReadAllText(_workspace.PathOf("sidecar.log")).Contains("it is healthy", StringComparison.Ordinal));
        Assert.Equal(onConsole, _workspace.Shown.Contains("== DAPR - a == it is healthy", StringComparison.Ordinal));
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

    private void Log(LogDestination destination, Action<SidecarLog> write)
    {
        var app = new RunApp { AppId = "a", AppDirPath = "", Location = default, DaprdLogDestination = destination };
        using var log = new SidecarLog(_workspace.PathOf("sidecar.log"), _workspace.Console, TimeProvider.System, [app]);
        write(log);
    }
}
