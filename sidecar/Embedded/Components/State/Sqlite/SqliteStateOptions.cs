using System.Text.RegularExpressions;

namespace EmbeddedSidecar.Components.State.Sqlite;

/// <summary>The metadata of <c>state.sqlite</c>; names and defaults are Dapr's.</summary>
internal sealed partial record SqliteStateOptions(
    string Path,
    TimeSpan BusyTimeout,
    bool UseWal,
    string TableName,
    string MetadataTableName,
    TimeSpan CleanupInterval)
{
    public static IReadOnlyList<string> Fields { get; } =
    [
        "connectionString", "url", "timeout", "timeoutInSeconds", "busyTimeout", "disableWAL", "tableName", "metadataTableName",
        "cleanupInterval", "cleanupIntervalInSeconds", .. StateStoreFields.Common,
    ];

    public static SqliteStateOptions Read(ComponentMetadata metadata)
    {
        var timeoutField = metadata.Text("timeout") is null ? "timeoutInSeconds" : "timeout";
        if (metadata.Text(timeoutField) is "" || metadata.Duration(timeoutField, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(1)) < TimeSpan.FromSeconds(1))
            throw metadata.Invalid(timeoutField, "at least one second");
        var cleanupField = metadata.Text("cleanupInterval") is null ? "cleanupIntervalInSeconds" : "cleanupInterval";
        return new SqliteStateOptions(
            ReadPath(metadata),
            metadata.Duration("busyTimeout", TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(1)),
            !metadata.Boolean("disableWAL", false),
            ReadIdentifier(metadata, "tableName", "state"),
            ReadIdentifier(metadata, "metadataTableName", "metadata"),
            metadata.Duration(cleanupField, TimeSpan.Zero, TimeSpan.FromSeconds(1)));
    }

    /// <summary>A path, with or without <c>file:</c>, relative to the working directory.</summary>
    private static string ReadPath(ComponentMetadata metadata)
    {
        var field = metadata.Text("connectionString") is null && metadata.Text("url") is not null ? "url" : "connectionString";
        var text = metadata.Required(field);
        var path = text.StartsWith("file:", StringComparison.OrdinalIgnoreCase) ? text["file:".Length..] : text;
        if (path.StartsWith(":memory:", StringComparison.OrdinalIgnoreCase))
            throw metadata.Invalid(field, "the path of a file (for a store that is gone with the process take state.in-memory)");
        if (path.Contains('?', StringComparison.Ordinal))
            throw metadata.Invalid(field, "the path of a file, without options behind a question mark");
        return System.IO.Path.GetFullPath(path);
    }

    private static string ReadIdentifier(ComponentMetadata metadata, string field, string defaultValue)
    {
        // An empty name is none, and not the default: it may stand for a secret that is not there.
        var name = metadata.Text(field) ?? defaultValue;
        return Identifier().IsMatch(name) ? name : throw metadata.Invalid(field, "a name of the letters a-z, digits and underscores");
    }

    [GeneratedRegex("^[A-Za-z0-9_]+$", RegexOptions.CultureInvariant)]
    private static partial Regex Identifier();
}
