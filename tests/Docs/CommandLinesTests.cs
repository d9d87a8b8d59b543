using System.CommandLine.Parsing;
using System.Text.RegularExpressions;

namespace DaprOrders.Docs.Tests;

/// <summary>Commands that no test runs, as they take too long, are at least read by the program that they are for, or name what is there.</summary>
public sealed partial class CommandLinesTests
{
    private const string PublishedLauncher = "tests/Sidecar/Launcher/PublishedLauncherTests.cs";

    /// <summary>Of blocks; within the text, those with arguments.</summary>
    public static TheoryData<string, string> Commands =>
        [.. Page.All.SelectMany(page => page.Blocks.Where(block => block.Info == "sh needs-time").SelectMany(block => block.Commands)
            .Concat(page.Prose.SelectMany(line => Inline().Matches(line.Text)).Select(inline => inline.Groups[1].Value))
            .Where(command => command.Contains("dotnet ", StringComparison.Ordinal) || command.Contains("DaprOrders", StringComparison.Ordinal))
            .Distinct().Select(command => (page.Name, command)))];

    [Theory]
    [MemberData(nameof(Commands))]
    public void A_command_is_one_that_its_program_takes(string page, string command)
    {
        if (Run().Match(command) is { Success: true } run)
            IsTaken(run.Groups["project"].Value, run.Groups["arguments"].Value, $"{page}: {command}");
        else if (Published().Match(command) is { Success: true } published)
            IsTaken("sidecar", published.Groups["arguments"].Value, $"{page}: {command}");
        else if (Test().Match(command) is { Success: true } test)
            IsThere(test.Groups["project"].Value, test.Groups["class"].Value, $"{page}: {command}");
        else if (Publish().Match(command) is { Success: true } publish)
            IsTriedOut(publish.Groups["options"].Value, $"{page}: {command}");
        else
            Assert.Fail($"{page}: expected a command of bench, sidecar or tests, got: {command}");
    }

    [Theory]
    [InlineData("bench", "append --round 3")]
    [InlineData("bench", "appendix")]
    [InlineData("sidecar", "--resource-path components/nats")]
    public void What_a_program_does_not_take_is_found(string project, string arguments) =>
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => IsTaken(project, arguments, arguments));

    private static void IsTaken(string project, string arguments, string command)
    {
        var program = project switch
        {
            "bench" => Bench.CommandLine.Create(),
            "sidecar" => Sidecar.Launcher.CommandLine.Create(),
            _ => throw new FormatException($"{command}: {project} has no command line."),
        };
        var errors = program.Parse([.. CommandLineParser.SplitCommandLine(arguments)]).Errors;
        Assert.True(errors.Count == 0, $"{command}: {string.Join(' ', errors)}");
    }

    private static void IsThere(string project, string type, string command)
    {
        var folder = Path.Combine(Page.Root, project);
        Assert.True(Directory.EnumerateFiles(folder, "*.csproj").Any(), $"{command}: {project} is no project.");
        Assert.True(
            type.Length == 0 || Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories).SelectMany(File.ReadLines).Any(line => Regex.IsMatch(line, $@"\bclass \w*{type}\w*Tests\b")),
            $"{command}: {project} has no tests {type}.");
    }

    /// <summary>Each option by the test that publishes on demand.</summary>
    private static void IsTriedOut(string options, string command)
    {
        var tried = File.ReadAllText(Path.Combine(Page.Root, PublishedLauncher));
        Assert.All(options.Split(' ').Where(word => word.StartsWith('-')), option =>
            Assert.True(tried.Contains($"\"{option}\"", StringComparison.Ordinal), $"{command}: {PublishedLauncher} does not publish with {option}."));
    }

    [GeneratedRegex("`((?:dotnet run --project|dotnet test --project)[^`]*)`")]
    private static partial Regex Inline();

    [GeneratedRegex(@"^(?:\w+=\S+ )*dotnet run --project (?<project>\S+)(?: -c Release)?(?: -- (?<arguments>.*))?$")]
    private static partial Regex Run();

    [GeneratedRegex(@"^published/DaprOrders\.Sidecar (?<arguments>.*)$")]
    private static partial Regex Published();

    [GeneratedRegex("""^(?:SIMULATION_SEEDS=\S+ )?dotnet test --project (?<project>\S+)(?: -- --explicit only)?(?: -- --filter-class "\*(?<class>\w+)\*")?$""")]
    private static partial Regex Test();

    [GeneratedRegex(@"^dotnet publish sidecar (?<options>.*)$")]
    private static partial Regex Publish();
}
