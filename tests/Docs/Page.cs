using System.Text.RegularExpressions;

namespace DaprOrders.Docs.Tests;

/// <summary>A Markdown page of this repository.</summary>
internal sealed partial class Page
{
    private readonly string[] _lines;

    private Page(string file)
    {
        File = file;
        Name = Path.GetRelativePath(Root, file).Replace('\\', '/');
        _lines = System.IO.File.ReadAllLines(file);
        Blocks = [.. ReadBlocks()];
    }

    public static string Root { get; } = FindRoot();

    /// <summary>README and the like, all of docs/, and what stands beside the code.</summary>
    public static IReadOnlyList<Page> All { get; } =
        [.. Directory.EnumerateFiles(Root, "*.md", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(Root, file).Split(Path.DirectorySeparatorChar).Any(part => part is "artifacts" or "node_modules" or "data" || part.StartsWith('.')))
            .Select(file => new Page(file)).OrderBy(page => page.Name, StringComparer.Ordinal)];

    public string File { get; }

    public string Name { get; }

    public IReadOnlyList<Block> Blocks { get; }

    /// <summary>What can stand behind # in a link, as GitHub makes it of headings.</summary>
    public IReadOnlySet<string> Anchors
    {
        get
        {
            var anchors = new HashSet<string>(StringComparer.Ordinal);
            foreach (var heading in Prose.Select(line => Heading().Match(line.Text)).Where(match => match.Success))
            {
                var anchor = NotInAnchor().Replace(MarkedText().Replace(heading.Groups[1].Value, "$1").ToLowerInvariant(), "").Replace(' ', '-');
                var name = anchor;
                for (var i = 1; !anchors.Add(name); i++)
                    name = $"{anchor}-{i}";
            }

            return anchors;
        }
    }

    /// <summary>Links in the text, without those within code.</summary>
    public IEnumerable<(int Line, string Target)> Links =>
        Prose.SelectMany(line => Link().Matches(Code().Replace(line.Text, "")).Select(match => (line.Number, match.Groups[1].Value)));

    /// <summary>What the text quotes, without what is within code.</summary>
    public IEnumerable<(int Line, string Text)> Quotes =>
        Prose.SelectMany(line => Quote().Matches(Code().Replace(line.Text, "")).Select(match => (line.Number, match.Groups[1].Value)));

    public IEnumerable<(int Number, string Text)> Prose =>
        _lines.Select((text, i) => (Number: i + 1, Text: text)).Where(line => !Blocks.Any(block => line.Number >= block.From && line.Number <= block.To));

    public override string ToString() => Name;

    private IEnumerable<Block> ReadBlocks()
    {
        for (var i = 0; i < _lines.Length; i++)
        {
            if (Fence().Match(_lines[i]) is not { Success: true } fence)
                continue;

            var end = Array.FindIndex(_lines, i + 1, line => line.Trim() == "```");
            Assert.True(end > 0, $"{Name}:{i + 1}: this block has no end.");
            yield return new(i + 1, end + 1, fence.Groups[1].Value.Trim(), [.. _lines[(i + 1)..end].Select(line => line.Trim())]);
            i = end;
        }
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (System.IO.File.Exists(Path.Combine(folder.FullName, "dapr.yaml")))
                return folder.FullName;
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} holds a dapr.yaml.");
    }

    [GeneratedRegex("^ *```(.*)$")]
    private static partial Regex Fence();

    [GeneratedRegex("^#+ +(.*?) *$")]
    private static partial Regex Heading();

    /// <summary>A link in a heading counts by its text.</summary>
    [GeneratedRegex(@"\[([^\]]*)\]\([^)]*\)")]
    private static partial Regex MarkedText();

    [GeneratedRegex(@"[^\p{L}\p{N} _-]")]
    private static partial Regex NotInAnchor();

    [GeneratedRegex("\"([^\"]*)\"")]
    private static partial Regex Quote();

    [GeneratedRegex("`[^`]*`")]
    private static partial Regex Code();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}

/// <summary>What stands between fences; <c>Info</c> is behind the first of them.</summary>
internal sealed record Block(int From, int To, string Info, IReadOnlyList<string> Lines)
{
    /// <summary>Lines that are commands: without comments, continued lines put together.</summary>
    public IEnumerable<string> Commands =>
        string.Join('\n', Lines).Replace("\\\n", "", StringComparison.Ordinal).Split('\n')
            .Select(line => line.Split(" #")[0].Trim()).Where(line => line.Length > 0 && !line.StartsWith('#'));
}
