using Npgsql;
using NpgsqlTypes;

namespace EmbeddedSidecar.Components.State.PostgreSql;

/// <summary>Of v2 (components-contrib, state/postgresql/v2): values are bytes, tags are never given twice.</summary>
internal sealed class PostgresStateTable2(string name) : PostgresStateTable(name, Columns)
{
    private static readonly Layout Columns = new()
    {
        Version = "v2",
        NameField = "tablePrefix",
        TagColumn = "etag",
        ExpiryColumn = "expires_at",
        UpdateColumn = "updated_at",
        Columns = "value, etag",
        Values = "$3, gen_random_uuid()",
        TagParameter = "$4",
        Bytes = "value",
        Types = [("value", "bytea"), ("etag", "uuid"), ("expires_at", "timestamp with time zone")],
    };

    /// <summary>daprd counts its migrations in a table of its own; what is created here is its first, and it goes on from there.</summary>
    private const string WithoutEffect = "metadataTableName";

    public static IReadOnlyList<string> Fields { get; } = ["tablePrefix", WithoutEffect];

    public override IReadOnlyList<string> Capabilities { get; } = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];

    public override string Create => $"""
        CREATE TABLE {Name} (
          key text NOT NULL PRIMARY KEY,
          value bytea NOT NULL,
          etag uuid NOT NULL DEFAULT gen_random_uuid(),
          created_at timestamp with time zone NOT NULL DEFAULT now(),
          updated_at timestamp with time zone,
          expires_at timestamp with time zone);
        CREATE INDEX {NameWithoutSchema}_expires_at_idx ON {Name} (expires_at)
        """;

    public static PostgresStateTable Read(ComponentMetadata metadata) => new PostgresStateTable2(TableName(metadata, "tablePrefix", "", suffix: "state"));

    /// <summary>What is no UUID cannot be the tag.</summary>
    public override StateStoreException? MalformedTag(StateWrite write) =>
        write.ETag is not { Length: > 0 } etag || Guid.TryParse(etag, out _) ? null
        : StateStoreException.Mismatch(etag.Length == 36 ? "invalid UUID format" : $"invalid UUID length: {etag.Length}");

    /// <summary>daprd cannot store an empty value here: to its driver it is NULL, which the table refuses.</summary>
    protected override IEnumerable<NpgsqlParameter> Value(StateUpsert upsert) =>
    [
        upsert.Value.IsEmpty
            ? new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea }
            : new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = upsert.Value, NpgsqlDbType = NpgsqlDbType.Bytea },
    ];

    protected override NpgsqlParameter Tag(string tag) => new NpgsqlParameter<Guid> { TypedValue = Guid.Parse(tag), NpgsqlDbType = NpgsqlDbType.Uuid };
}
