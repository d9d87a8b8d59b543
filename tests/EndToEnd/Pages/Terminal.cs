using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests.Pages;

/// <summary>A shell in the folder of an installation, as a reader has one in a clone of this repository. What a page says is typed as it stands there.</summary>
/// <param name="installation">Its folder has the run file and the components.</param>
/// <param name="servers">What a command says of a server that is not of the run file, and what it is here.</param>
internal sealed partial class Terminal(Installation installation, params (string Shipped, string Here)[] servers)
{
    /// <summary>What is read of a page, and typed.</summary>
    private const string Sidecar = "dotnet run --project sidecar";

    private static readonly string? Missing = OperatingSystem.IsWindows() ? "the pages' commands are for a shell that is not that of Windows"
        : new[] { "bash", "curl", "openssl" }.FirstOrDefault(program => ServerProgram.Find(program) is null) is { } program ? $"{program} is not installed"
        : null;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static void Require() => ServerProgram.Require(Missing);

    /// <summary>One command, to its end.</summary>
    public async Task<Typed> RunAsync(string command)
    {
        var start = Info([command]);
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var texts = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        return new(command, process.ExitCode, texts[0], texts[1]);
    }

    /// <summary>Commands one after the other, until one fails.</summary>
    public ProcessStartInfo Info(IEnumerable<string> commands)
    {
        // Tells the status of an answer behind its body, whatever a command says of how it is to be shown.
        File.WriteAllText(Path.Combine(installation.Folder, ".curlrc"), """write-out = "\n%{http_code}" """);
        var start = new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", string.Join('\n', commands.Select(Here))]) { WorkingDirectory = installation.Folder };
        start.Environment["CURL_HOME"] = installation.Folder;
        start.Environment["APP_API_TOKEN"] = OrdersSystem.AppToken;
        return start;
    }

    /// <summary>All that is not as the reader has it: free ports in the place of those of the run file, and the sidecar that was built with the tests.</summary>
    private string Here(string command) => servers.Aggregate(
        Run().Replace(installation.WithPortsHere(command), $"dotnet '{Installation.Sidecar}'"),
        (text, server) => text.Replace(server.Shipped, server.Here, StringComparison.Ordinal));

    /// <summary>Behind the dashes are the arguments of the program.</summary>
    [GeneratedRegex($"^{Sidecar}(?: --(?= ))?")]
    private static partial Regex Run();
}

/// <summary>What came of a command.</summary>
internal sealed record Typed(string Command, int ExitCode, string Output, string Complaints)
{
    /// <summary>Of a call by curl: the status, which must be this one, and what was answered.</summary>
    public JsonNode? Answer(int status)
    {
        Succeeded();
        var end = Output.LastIndexOf('\n');
        Assert.True(Output[(end + 1)..] == status.ToString(CultureInfo.InvariantCulture), $"{Command}: expected {status}, got {Output}");
        var body = Output[..end].Trim();
        return body.StartsWith('{') || body.StartsWith('[') ? JsonNode.Parse(body) : null;
    }

    public string Succeeded()
    {
        Assert.True(ExitCode == 0, $"{Command} ended with {ExitCode}:{Environment.NewLine}{Output}{Environment.NewLine}{Complaints}");
        return Output;
    }
}
