namespace EmbeddedSidecar.Components;

/// <summary>Paths in metadata. A daprd's working directory is the folder of its app (cli cmd/run.go), so relative ones start there.</summary>
internal static class FilePaths
{
    private const string Scheme = "file:";

    /// <summary>
    /// Absolute, for <c>data/x.db</c>, <c>file:data/x.db</c> and <c>file:///C:/data/x.db</c>. What is no path of a file alone (a database in memory,
    /// options behind a question mark) stays as it is, for the component to judge.
    /// </summary>
    public static string Resolve(string text, string folder)
    {
        if (text.Length == 0 || text.Contains('?', StringComparison.Ordinal) || text.Contains(":memory:", StringComparison.OrdinalIgnoreCase))
            return text;
        var path = text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? text[Scheme.Length..] : text;
        if (path.Length < text.Length && path.StartsWith("//", StringComparison.Ordinal))
            path = WithoutHost(path[2..]);
        return Path.GetFullPath(path, Path.GetFullPath(folder));
    }

    /// <summary>"/x", "localhost/x" and "/C:/x", as they stand behind file://.</summary>
    private static string WithoutHost(string path)
    {
        const string ThisMachine = "localhost/";
        if (path.StartsWith(ThisMachine, StringComparison.OrdinalIgnoreCase))
            path = path[(ThisMachine.Length - 1)..];
        return path is ['/', var drive, ':', '/', ..] && char.IsAsciiLetter(drive) ? path[1..] : path;
    }
}
