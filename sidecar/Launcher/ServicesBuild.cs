using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// Builds the services once: nothing is built while the paths, sizes and times of all inputs and outputs are those of the last build,
/// since even a build that does nothing takes longer than the whole start.
/// </summary>
internal sealed class ServicesBuild(RunFile runFile)
{
    private static readonly string[] NoInputs = ["bin", "obj", ".dapr"];

    private readonly string _solution = Path.Combine(runFile.Folder, "services", "services.slnf");
    private readonly string _stamp = Path.Combine(runFile.Folder, "artifacts", "services.stamp");

    /// <summary>False where the run file is no part of this repository.</summary>
    public bool Applies => File.Exists(_solution);

    public bool IsUpToDate => File.Exists(_stamp) && Outputs.All(File.Exists) && File.ReadAllText(_stamp) == Fingerprint();

    private IEnumerable<string> Outputs => runFile.Apps.SelectMany(a => a.Command.Where(c => c.EndsWith(".dll", StringComparison.Ordinal)).Select(c => Path.GetFullPath(c, a.AppDirPath)));

    /// <exception cref="LaunchException">With the compiler's errors.</exception>
    public async Task BuildAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(DotnetHost.Path, ["build", _solution, "-c", "Release", "-nologo", "-v", "quiet"])
        {
            WorkingDirectory = runFile.Folder,
            RedirectStandardOutput = true,
        };
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        using var process = Process.Start(start)!;
        try
        {
            var output = CollectAsync(process.StandardOutput);
            await process.WaitForExitAsync(cancellationToken);
            if (process.ExitCode != 0)
                throw new LaunchException($"The services do not build:{Environment.NewLine}{await output}");
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        if (Outputs.FirstOrDefault(o => !File.Exists(o)) is { } missing)
            throw new LaunchException($"{runFile.Path} starts {missing}, which the build of {_solution} does not make.");
        Directory.CreateDirectory(Path.GetDirectoryName(_stamp)!);
        await File.WriteAllTextAsync(_stamp, Fingerprint(), cancellationToken);
    }

    /// <summary>What was written until MSBuild's last line; its servers live on and keep the pipe open.</summary>
    private static async Task<string> CollectAsync(StreamReader reader)
    {
        var output = new StringBuilder();
        while (await reader.ReadLineAsync() is { } line && !line.StartsWith("Time Elapsed", StringComparison.Ordinal))
            output.AppendLine(line);
        return output.ToString().Trim();
    }

    private string Fingerprint()
    {
        var top = Directory.EnumerateFiles(runFile.Folder).Where(f => Path.GetExtension(f) is ".props" or ".targets" or ".sln" or ".json" or ".editorconfig");
        var text = new StringBuilder();
        foreach (var file in top.Concat(Inputs(Path.GetDirectoryName(_solution)!)).Concat(Outputs).Select(f => new FileInfo(f)).OrderBy(f => f.FullName, StringComparer.Ordinal))
            text.Append(file.FullName).Append('|').Append(file.Length).Append('|').Append(file.LastWriteTimeUtc.Ticks).Append('\n');
        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    private static IEnumerable<string> Inputs(string folder) => Directory.EnumerateFiles(folder)
        .Concat(Directory.EnumerateDirectories(folder).Where(f => !NoInputs.Contains(Path.GetFileName(f))).SelectMany(Inputs));
}
