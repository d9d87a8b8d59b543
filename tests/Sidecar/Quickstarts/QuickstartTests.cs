using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>
/// The quickstarts of Dapr run as they are, on the launcher, and write what their READMEs say. On demand: QUICKSTARTS names a clone of
/// dapr/quickstarts, QUICKSTART a part of the names of those to run. They take the ports that their run files name, 6379 for Redis and 5432 for PostgreSQL among them, and
/// install their packages.
/// </summary>
public sealed class QuickstartTests
{
    private const int PostgresPort = 5432;

    private static readonly string[] Blocks =
        ["state_management", "pub_sub", "service_invocation", "bindings", "secrets_management", "configuration", "actors", "jobs"];

    private static readonly string[] Languages = ["csharp", "javascript"];

    /// <summary>For all that its apps write, and as much for its packages.</summary>
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
            .Where(one => one.Name.Contains(part, StringComparison.Ordinal) && Array.Exists(Languages, language => one.Name.Contains(language, StringComparison.Ordinal)))
            .OrderBy(one => one.Name, StringComparer.Ordinal).ToList();
        var table = new StringBuilder("| quickstart | run file | |\n|---|---|---|\n");
        var (ran, failures) = (0, 0);
        foreach (var (file, name) in readmes)
        {
            using var folder = new TemporaryFolder();
            await using var postgres = name.StartsWith("bindings/", StringComparison.Ordinal) ? await StartPostgresAsync(clone) : null;
            if (Quickstart.Read(file, Path.GetDirectoryName(folder.File("any"))!) is not { } quickstart)
            {
                table.AppendLine(CultureInfo.InvariantCulture, $"| {name} | none | left out: its README starts nothing with `dapr run` that could be read |");
                continue;
            }

            var problem = await RunAsync(quickstart, postgres);
            ran++;
            failures += problem is null ? 0 : 1;
            var runFile = quickstart.HasRunFile ? "its own" : "of the README's lines";
            table.AppendLine(CultureInfo.InvariantCulture, $"| {name} | {runFile} | {problem ?? $"yes, {quickstart.Expected.Count} lines"} |");
            TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {problem ?? "yes"}");
        }

        // The test program runs in artifacts/bin/{project}/{configuration}.
        var artifacts = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.Parent!.FullName;
        await File.WriteAllTextAsync(Path.Combine(artifacts, "quickstarts.md"), table.ToString(), Cancellation);
        Assert.True(ran > 0, $"No quickstart was found in {clone} whose name contains \"{part}\".{Environment.NewLine}{table}");
        Assert.True(failures == 0, table.ToString());
    }

    /// <returns>What went wrong; null: nothing.</returns>
    private static async Task<string?> RunAsync(Quickstart quickstart, PostgresServer? postgres)
    {
        try
        {
            if (quickstart.Expected.Count == 0)
                return "its README expects no line";
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(Limit);
            foreach (var command in quickstart.Redis)
                await ServerProgram.RunAsync("redis-cli", command.Split(' ').Select(word => word.Trim('"')), limit.Token);
            foreach (var app in RunFileReader.Read(quickstart.RunFile).Apps)
                await InstallAsync(app.AppDirPath, limit.Token);
            return await LaunchAsync(quickstart, postgres);
        }
        catch (Exception e) when (e is InvalidOperationException or ResourceException or TimeoutException or OperationCanceledException && !Cancellation.IsCancellationRequested)
        {
            return OneLine(e.Message);
        }
    }

    internal static async Task InstallAsync(string folder, CancellationToken cancel)
    {
        if (File.Exists(Path.Combine(folder, "package.json")))
            await ServerProgram.RunAsync("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel", "error"], cancel);
        if (Directory.EnumerateFiles(folder, "*.csproj").Any())
            await ServerProgram.RunAsync("dotnet", ["build", folder, "--verbosity", "quiet"], cancel);
    }

    private static async Task<string?> LaunchAsync(Quickstart quickstart, PostgresServer? postgres)
    {
        // They are for .NET 8.
        await using var apps = new LaunchedApps(quickstart.RunFile, quickstart.Expected, ("DOTNET_ROLL_FORWARD", "Major"));
        await Task.WhenAny(apps.Written, apps.Ended, Task.Delay(Limit, Cancellation));
        var hasNoRows = postgres is not null && apps.Written.IsCompleted && !await HasRowsAsync(postgres);
        IReadOnlyList<string> missing = hasNoRows ? [.. apps.Missing, "rows in the database"] : apps.Missing;
        return missing.Count == 0
            ? null
            : $"not written: {OneLine(string.Join("; ", missing))}. The last lines: {OneLine(string.Join("; ", apps.Lines.TakeLast(4)))}";
    }

    private static string OneLine(string text)
    {
        var line = string.Join(' ', text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).Replace('|', '/');
        return line.Length > 400 ? $"{line[..400]}..." : line;
    }

    /// <summary>Null where something listens there already, or there is no Redis.</summary>
    private static async Task<DaprInitRedis?> StartRedisAsync() =>
        await ListensAsync(DaprInitRedis.Port) || DaprInitRedis.Missing is not null ? null : await DaprInitRedis.StartAsync(Cancellation);

    /// <summary>As the quickstart's compose file would: with its database; null where something listens there already, or there is no PostgreSQL.</summary>
    private static async Task<PostgresServer?> StartPostgresAsync(string clone)
    {
        if (PostgresServer.Missing is not null || await ListensAsync(PostgresPort))
            return null;
        var server = await PostgresServer.StartAsync(Cancellation, PostgresPort);
        // It is for psql: the first line goes over to the database.
        var script = (await File.ReadAllTextAsync(Path.Combine(clone, "bindings", "db", "orders.sql"), Cancellation)).Split("\\c orders;")[^1];
        await server.ExecuteAsync("postgres", "CREATE DATABASE orders", Cancellation);
        await server.ExecuteAsync("orders", script, Cancellation);
        return server;
    }

    /// <summary>What the apps write comes before what they do.</summary>
    private static async Task<bool> HasRowsAsync(PostgresServer server)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < Limit / 6)
        {
            if (await server.ExecuteAsync("orders", "SELECT count(*) FROM orders", Cancellation) is > 0L)
                return true;
            await Task.Delay(TimeSpan.FromMilliseconds(100), Cancellation);
        }

        return false;
    }

    private static async Task<bool> ListensAsync(int port)
    {
        try
        {
            using var probe = new TcpClient();
            await probe.ConnectAsync("127.0.0.1", port, Cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
