using System.Text.RegularExpressions;

namespace DaprOrders.Docs.Tests;

/// <summary>What pages point to is there, and commands in them say who has run them.</summary>
public sealed partial class PagesTests
{
    private static readonly string[] Shells = ["sh", "bash", "shell", "console", "powershell", "pwsh", "cmd"];

    private static readonly string[] Diagrams = ["flowchart", "sequenceDiagram", "stateDiagram-v2"];

    /// <summary>What a block of commands may need, so that CI cannot run it.</summary>
    private static readonly string[] Needs = ["needs-dapr", "needs-cluster", "needs-time"];

    public static TheoryData<string> Pages => [.. Page.All.Select(page => page.Name)];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_leads_to_a_file_and_a_heading_that_is_there(string name)
    {
        var page = PageOf(name);
        Assert.All(page.Links.Where(link => !link.Target.Contains("://", StringComparison.Ordinal)), link =>
        {
            var (path, anchor) = link.Target.Split('#') switch { [var p] => (p, null), [var p, var a] => (p, a), _ => throw new FormatException(link.Target) };
            var target = path.Length == 0 ? page.File : Path.GetFullPath(Uri.UnescapeDataString(path), Path.GetDirectoryName(page.File)!);
            Assert.True(File.Exists(target) || Directory.Exists(target), $"{name}:{link.Line}: {link.Target} does not exist.");
            if (anchor is not null)
                Assert.True(Page.All.Single(p => p.File == target).Anchors.Contains(anchor), $"{name}:{link.Line}: no heading for {link.Target}.");
        });
    }

    /// <summary>Somebody looks for them in the logs at night.</summary>
    [Fact]
    public void What_the_runbook_quotes_of_logs_is_what_a_service_writes()
    {
        var sources = string.Concat(Directory.EnumerateFiles(Path.Combine(Page.Root, "services"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText));
        var quotes = PageOf("docs/runbook.md").Quotes.ToList();

        Assert.NotEmpty(quotes);
        Assert.All(quotes, quote => Assert.True(sources.Contains(quote.Text, StringComparison.Ordinal), $"docs/runbook.md:{quote.Line}: no service writes \"{quote.Text}\"."));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_to_elsewhere_is_by_https(string name) =>
        Assert.All(PageOf(name).Links.Where(link => link.Target.Contains("://", StringComparison.Ordinal)), link =>
            Assert.Equal(Uri.UriSchemeHttps, new Uri(link.Target).Scheme));

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_block_of_commands_names_what_runs_it_or_what_it_needs(string name)
    {
        Assert.All(PageOf(name).Blocks.Where(block => Shells.Contains(block.Info.Split(' ')[0])), block =>
        {
            var said = block.Info.Split(' ')[1..];
            Assert.True(said.Length == 1, $"{name}:{block.From}: expected one mark behind the language (CONTRIBUTING.md, Commands in pages), got '{block.Info}'.");
            if (said[0].StartsWith("run=", StringComparison.Ordinal))
                IsRunBy(said[0]["run=".Length..], block, name);
            else
                Assert.Contains(said[0], Needs);
        });
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_command_by_itself_is_in_a_block_that_can_be_marked(string name) =>
        Assert.All(PageOf(name).Prose, line => Assert.False(
            line.Text.StartsWith("    dotnet ", StringComparison.Ordinal), $"{name}:{line.Number}: expected a block with a mark (CONTRIBUTING.md, Commands in pages), got an indented command."));

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_diagram_is_of_a_kind_that_is_drawn_where_pages_are_read(string name) =>
        Assert.All(PageOf(name).Blocks.Where(block => block.Info == "mermaid"), block => Assert.Contains(block.Lines[0].Split(' ')[0], Diagrams));

    [Fact]
    public void Every_page_of_docs_is_found_from_its_start_page()
    {
        var start = PageOf("docs/README.md");
        var reached = start.Links.Select(link => Path.GetFullPath(link.Target.Split('#')[0], Path.GetDirectoryName(start.File)!)).ToHashSet();

        Assert.All(Page.All.Where(page => page.Name.StartsWith("docs/", StringComparison.Ordinal) && page != start), page =>
            Assert.True(reached.Contains(page.File), $"docs/README.md does not lead to {page.Name}."));
    }

    /// <summary>Rules that alert, wherever deploy/ has some.</summary>
    [Fact]
    public void Every_alert_is_in_the_runbook()
    {
        var runbook = File.ReadAllText(PageOf("docs/runbook.md").File);
        var alerts = Directory.EnumerateFiles(Path.Combine(Page.Root, "deploy"), "*.y*ml", SearchOption.AllDirectories)
            .SelectMany(File.ReadLines).Select(line => line.Trim()).Where(line => line.StartsWith("- alert: ", StringComparison.Ordinal)).Select(line => line["- alert: ".Length..].Trim());

        Assert.All(alerts, alert => Assert.True(runbook.Contains($"`{alert}`", StringComparison.Ordinal), $"docs/runbook.md does not say what to do about {alert}."));
    }

    /// <summary>
    /// A line of the file that is no comment and is the command, but for what the file may add to it. A test reads the block from the page, and names it by its
    /// first command.
    /// </summary>
    private static void IsRunBy(string file, Block block, string name)
    {
        if (Path.GetExtension(file) == ".cs")
        {
            Assert.True(
                File.ReadLines(Path.Combine(Page.Root, file)).Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal)).Any(line => line.Contains($"\"{block.Commands.First()}\"", StringComparison.Ordinal)),
                $"{name}:{block.From}: {file} does not run the block that begins with: {block.Commands.First()}");
            return;
        }

        var runs = File.ReadLines(Path.Combine(Page.Root, file)).Select(line => line.Trim()).Where(line => !line.StartsWith('#'))
            .Select(line => Added().Replace(Redirected().Replace(line, ""), "")).ToHashSet(StringComparer.Ordinal);
        Assert.All(block.Commands, command => Assert.True(runs.Contains(command), $"{name}:{block.From}: {file} does not run: {command}"));
    }

    /// <summary>What becomes of the output and of a failure.</summary>
    [GeneratedRegex(@" (2>&1|\||\|\|) .*$")]
    private static partial Regex Redirected();

    /// <summary>What makes CI quieter or stricter than a person at a keyboard.</summary>
    [GeneratedRegex(" (--no-restore|--verbosity quiet|--verify-no-changes|--reset|--fail-fast|--strict|-- --timeout [0-9]+m --long-running [0-9]+)(?= |$)")]
    private static partial Regex Added();

    private static Page PageOf(string name) => Page.All.Single(page => page.Name == name);
}
