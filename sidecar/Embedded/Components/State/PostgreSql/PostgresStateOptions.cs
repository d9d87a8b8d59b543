using EmbeddedSidecar.Components.PostgreSql;
using Npgsql;

namespace EmbeddedSidecar.Components.State.PostgreSql;

/// <summary>The metadata of <c>state.postgresql</c> but for its tables; names and defaults are Dapr's.</summary>
internal sealed record PostgresStateOptions(NpgsqlConnectionStringBuilder Connection, TimeSpan CleanupInterval)
{
    public static IReadOnlyList<string> Fields { get; } = [.. PostgresConnection.Fields, "cleanupInterval", "cleanupIntervalInSeconds", .. StateStoreFields.Common];

    public static PostgresStateOptions Read(ComponentMetadata metadata)
    {
        var cleanupField = metadata.Text("cleanupInterval") is null ? "cleanupIntervalInSeconds" : "cleanupInterval";
        return new PostgresStateOptions(PostgresConnection.Read(metadata), metadata.Duration(cleanupField, TimeSpan.FromHours(1), TimeSpan.FromSeconds(1)));
    }
}
