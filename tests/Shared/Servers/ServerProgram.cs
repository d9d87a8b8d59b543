using System.Diagnostics;
using System.Globalization;

namespace DaprOrders.Tests.Servers;

/// <summary>The programs of the servers that tests start for themselves.</summary>
public static class ServerProgram
{
    /// <summary>In the PATH, or where Debian puts the programs of PostgreSQL; null when it is not installed.</summary>
    public static string? Find(string name)
    {
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        var debian = Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin")) : [];
        var file = OperatingSystem.IsWindows() ? $"{name}.exe" : name;
        return path.Concat(debian).Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
    }

    /// <summary>Without the server a test is skipped with the reason; where everything must be tested (CI=true) it fails.</summary>
    public static void Require(string? missing)
    {
        if (missing is null)
            return;
        Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") is "true", missing);
        Assert.Fail(missing);
    }

    /// <summary>Returns when the program has written <paramref name="sign"/>.</summary>
    /// <exception cref="InvalidOperationException">It ended before, with what it wrote.</exception>
    public static async Task<Process> StartAsync(
        string program, IEnumerable<string> arguments, string sign, CancellationToken cancel, IReadOnlyDictionary<string, string>? environment = null)
    {
        var written = new List<string>();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var process = new Process { StartInfo = Info(program, arguments), EnableRaisingEvents = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            process.StartInfo.Environment[name] = value;
        process.Exited += (_, _) => ready.TrySetException(new InvalidOperationException($"{program} ended:{Environment.NewLine}{Text(written)}"));
        process.OutputDataReceived += (_, line) => Take(line.Data);
        process.ErrorDataReceived += (_, line) => Take(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await ready.Task.WaitAsync(cancel);
        return process;

        void Take(string? line)
        {
            if (line is null)
                return;
            lock (written)
                written.Add(line);
            if (line.Contains(sign, StringComparison.Ordinal))
                ready.TrySetResult();
        }
    }

    /// <exception cref="InvalidOperationException">It did not end with 0; with what it wrote.</exception>
    public static async Task RunAsync(string program, IEnumerable<string> arguments, CancellationToken cancel)
    {
        using var process = Process.Start(Info(program, arguments))!;
        var texts = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(cancel), process.StandardError.ReadToEndAsync(cancel));
        await process.WaitForExitAsync(cancel);
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} ended with {process.ExitCode}:{Environment.NewLine}{string.Join(Environment.NewLine, texts)}");
    }

    /// <summary>Asks it to end, and waits until it has.</summary>
    public static async Task TerminateAsync(Process process, CancellationToken cancel)
    {
        // .NET sends a SIGTERM to no process.
        await RunAsync("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)], cancel);
        await process.WaitForExitAsync(cancel);
    }

    internal static ProcessStartInfo Info(string program, IEnumerable<string> arguments) =>
        new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Path.GetTempPath() };

    private static string Text(List<string> lines)
    {
        lock (lines)
            return string.Join(Environment.NewLine, lines);
    }
}
