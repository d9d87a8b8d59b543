namespace EmbeddedSidecar.Components.Bindings.LocalStorage;

/// <summary>Paths that stay within a folder, whatever they say: as if that folder were the root of the disk, also for links (filepath-securejoin).</summary>
internal static class ContainedPath
{
    private const int MostLinks = 255;

    private static readonly char[] Separators = [Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar];

    /// <exception cref="IOException">No file can have such a name, or links lead in a circle.</exception>
    public static string Join(string root, string name)
    {
        var inside = new List<string>();
        var rest = new Stack<string>(Words(name));
        var links = 0;
        while (rest.TryPop(out var word))
        {
            if (word == "..")
            {
                if (inside.Count > 0)
                    inside.RemoveAt(inside.Count - 1);
                continue;
            }

            if (word.IndexOfAny(Path.GetInvalidFileNameChars()) >= 0)
                throw new IOException($"{word} is no name of a file");
            var path = Path.Combine([root, .. inside, word]);
            if (new FileInfo(path).LinkTarget is not { } target)
            {
                inside.Add(word);
                continue;
            }

            if (++links > MostLinks)
                throw new IOException("too many levels of symbolic links");
            if (Path.IsPathRooted(target))
                inside.Clear();
            foreach (var further in Words(target[(Path.GetPathRoot(target)?.Length ?? 0)..]))
                rest.Push(further);
        }

        return Path.Combine([root, .. inside]);
    }

    /// <summary>The last one first.</summary>
    private static IEnumerable<string> Words(string path) => path.Split(Separators, StringSplitOptions.RemoveEmptyEntries).Where(word => word != ".").Reverse();
}
