using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>
/// The quickstarts of Dapr run as they are, on the launcher, and write what their READMEs say. On demand: QUICKSTARTS names a clone of dapr/quickstarts, QUICKSTART a
/// part of the names of those to run. They take the ports that their run files name, 6379 for Redis among them, and install their packages.
/// </summary>
public sealed class QuickstartTests
{
    private const int RedisPort = 6379;

    private static readonly string[] Blocks =
        ["state_management", "pub_sub", "service_invocation", "bindings", "secrets_management", "configuration", "actors", "jobs", "resiliency"];

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_writes_the_lines_that_its_README_says()
    {
        var clone = Environment.GetEnvironmentVariable("QUICKSTARTS");
        Assert.SkipUnless(clone is { Length: > 0 }, "QUICKSTARTS names no clone of dapr/quickstarts");
        using var redis = await StartRedisAsync();
        var part = Environment.GetEnvironmentVariable("QUICKSTART") ?? "";
        var readmes = Blocks.SelectMany(block => Directory.EnumerateFiles(Path.Combine(clone, block), "README.md", SearchOption.AllDirectories))
            .Where(file => !file.Contains("node_modules", StringComparison.Ordinal))
            .Select(file => (File: file, Name: Path.GetRelativePath(clone, Path.GetDirectoryName(file)!).Replace('\\', '/')))
            .Where(one => (one.Name.Contains("csharp", StringComparison.Ordinal) || one.Name.Contains("javascript", StringComparison.Ordinal)) && one.Name.Contains(part, StringComparison.Ordinal))
            .OrderBy(one => one.Name, StringComparer.Ordinal).ToList();
        var table = new StringBuilder("| quickstart | run file | |\n|---|---|---|\n");
        var failures = 0;
        foreach (var (file, name) in readmes)
        {
            using var folder = new TemporaryFolder();
            if (Quickstart.Read(file, Path.GetDirectoryName(folder.File("any"))!) is not { } quickstart)
                continue;
            var problem = await RunAsync(quickstart);
            failures += problem is null ? 0 : 1;
            table.AppendLine(CultureInfo.InvariantCulture, $"| {name} | {(quickstart.HasRunFile ? "its own" : "of the README's lines")} | {problem ?? $"yes, {quickstart.Expected.Count} lines"} |");
            TestContext.Current.SendDiagnosticMessage($"{name}: {problem ?? "yes"}");
        }

        // The test program runs in artifacts/bin/{project}/{configuration}.
        await File.WriteAllTextAsync(Path.Combine(new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.Parent!.FullName, "quickstarts.md"), table.ToString(), Cancellation);
        TestContext.Current.TestOutputHelper?.WriteLine(table.ToString());
        Assert.True(failures == 0, table.ToString());
    }

    /// <returns>What went wrong; null: nothing.</returns>
    private static async Task<string?> RunAsync(Quickstart quickstart)
    {
        try
        {
            if (quickstart.Expected.Count == 0)
                return "its README expects no line";
            foreach (var command in quickstart.Redis)
                await ServerProgram.RunAsync("redis-cli", command.Split(' ').Select(word => word.Trim('"')), Cancellation);
            foreach (var app in RunFileReader.Read(quickstart.RunFile).Apps)
                await InstallAsync(app.AppDirPath);
            return await LaunchAsync(quickstart);
        }
        catch (Exception e) when (e is InvalidOperationException or ResourceException or TimeoutException)
        {
            return OneLine(e.Message);
        }
    }

    private static async Task InstallAsync(string folder)
    {
        if (File.Exists(Path.Combine(folder, "package.json")))
            await ServerProgram.RunAsync("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel", "error"], Cancellation);
        if (Directory.EnumerateFiles(folder, "*.csproj").Any())
            await ServerProgram.RunAsync("dotnet", ["build", folder, "--verbosity", "quiet"], Cancellation);
    }

    private static async Task<string?> LaunchAsync(Quickstart quickstart)
    {
        var start = ServerProgram.Info("dotnet", [Path.Combine(AppContext.BaseDirectory, "DaprOrders.Sidecar.dll"), "--run-file", quickstart.RunFile]);
        // They are for .NET 8.
        start.Environment["DOTNET_ROLL_FORWARD"] = "Major";
        using var launcher = Process.Start(start)!;
        var missing = quickstart.Expected.ToList();
        var written = new List<string>();
        var all = new TaskCompletionSource();
        launcher.OutputDataReceived += (_, line) => Take(line.Data);
        launcher.ErrorDataReceived += (_, line) => Take(line.Data);
        launcher.BeginOutputReadLine();
        launcher.BeginErrorReadLine();
        var ended = launcher.WaitForExitAsync(Cancellation);
        await Task.WhenAny(all.Task, ended, Task.Delay(Limit, Cancellation));
        if (!ended.IsCompleted)
        {
            if (OperatingSystem.IsWindows())
                launcher.Kill();
            else
                ProcessTree.AskToEnd(launcher.Id);
            await ended.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        }

        lock (written)
        {
            if (missing.Count == 0)
                return null;
            return $"not written: {OneLine(string.Join("; ", missing))}. The last lines: {OneLine(string.Join("; ", written.TakeLast(4)))}";
        }

        void Take(string? line)
        {
            lock (written)
            {
                written.Add(line ?? "");
                missing.RemoveAll(expected => line?.Contains(expected, StringComparison.Ordinal) == true);
                if (missing.Count == 0)
                    all.TrySetResult();
            }
        }
    }

    private static string OneLine(string text)
    {
        var line = string.Join(' ', text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).Replace('|', '/');
        return line.Length > 400 ? $"{line[..400]}..." : line;
    }

    /// <summary>Where <c>dapr init</c> has one; null where something listens there already, or there is no Redis.</summary>
    private static async Task<IDisposable?> StartRedisAsync()
    {
        try
        {
            using var probe = new TcpClient();
            await probe.ConnectAsync("127.0.0.1", RedisPort, Cancellation);
            return null;
        }
        catch (SocketException)
        {
            return ServerProgram.Find("redis-server") is { } program
                ? new Running(await ServerProgram.StartAsync(program, ["--port", $"{RedisPort}", "--bind", "127.0.0.1", "--save", ""], "Ready to accept connections", Cancellation))
                : null;
        }
    }

    private sealed record Running(Process Process) : IDisposable
    {
        public void Dispose()
        {
            Process.Kill();
            Process.Dispose();
        }
    }
}
