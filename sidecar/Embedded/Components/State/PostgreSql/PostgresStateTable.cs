using System.Text.RegularExpressions;
using Npgsql;
using NpgsqlTypes;

namespace EmbeddedSidecar.Components.State.PostgreSql;

/// <summary>
/// A table of state as daprd lays it out, so that both can work on one database, and the statements over it. The time is the server's, so that every
/// sidecar agrees on what has expired.
/// </summary>
internal abstract partial class PostgresStateTable
{
    private readonly Layout _layout;
    private readonly string _upsert;
    private readonly string _create;
    private readonly string _update;
    private readonly string _delete;

    protected PostgresStateTable(string name, Layout layout)
    {
        const string Expires = "now() + make_interval(secs => $2)";
        (Name, _layout) = (name, layout);
        var expiry = layout.ExpiryColumn;
        var isAlive = $"({expiry} IS NULL OR {expiry} >= now())";
        var set = $"SET ({layout.Columns}, {layout.UpdateColumn}, {expiry}) = ({layout.Values}, now(), {Expires})";
        _upsert = $"INSERT INTO {name} AS stored (key, {layout.Columns}, {expiry}) VALUES ($1, {layout.Values}, {Expires}) ON CONFLICT (key) DO UPDATE {set}";
        _create = $"{_upsert} WHERE stored.{expiry} < now()";
        _update = $"UPDATE {name} {set} WHERE key = $1 AND {layout.TagColumn} = {layout.TagParameter} AND {isAlive}";
        _delete = $"DELETE FROM {name} WHERE key = $1";
        Get = $"SELECT key, {layout.Bytes}, {layout.TagColumn}::text, {expiry} FROM {name} WHERE key = ANY($1) AND {isAlive}";
        RemoveExpired = $"DELETE FROM {name} WHERE {expiry} < now()";
    }

    public string Name { get; }

    /// <summary>Key, value as bytes, tag, expiry of the keys of an array.</summary>
    public string Get { get; }

    public string RemoveExpired { get; }

    public abstract string Create { get; }

    public abstract IReadOnlyList<string> Capabilities { get; }

    protected string NameWithoutSchema => Name[(Name.IndexOf('.', StringComparison.Ordinal) + 1)..];

    /// <summary>The text and the parameters of one write. What it must change is one row, or its condition does not hold (a delete without a tag has none).</summary>
    public (string Sql, NpgsqlParameter[] Parameters) Of(StateWrite write) => write switch
    {
        StateUpsert { ETag: { Length: > 0 } tag } upsert => (_update, [Key(upsert), Ttl(upsert), .. Value(upsert), Tag(tag)]),
        StateUpsert upsert => (upsert.FirstWrite ? _create : _upsert, [Key(upsert), Ttl(upsert), .. Value(upsert)]),
        { ETag: { Length: > 0 } tag } => ($"{_delete} AND {_layout.TagColumn} = $2", [Key(write), Tag(tag)]),
        _ => (_delete, [Key(write)]),
    };

    /// <summary>Why a tag cannot be one of this table; null when it can.</summary>
    public abstract StateStoreException? MalformedTag(StateWrite write);

    /// <param name="columns">Of the table that is there: their types, by name.</param>
    /// <exception cref="InvalidOperationException">It is another table.</exception>
    public void Check(IReadOnlyDictionary<string, string> columns)
    {
        var others = _layout.Types.Where(known => columns.GetValueOrDefault(known.Column) != known.Type)
            .Select(known => columns.TryGetValue(known.Column, out var type) ? $"its {known.Column} is {type}, not {known.Type}" : $"it has no {known.Column}")
            .ToList();
        if (others.Count > 0)
        {
            throw new InvalidOperationException(
                $"table '{Name}' is not one of state.postgresql {_layout.Version} ({string.Join(", ", others)}): set another {_layout.NameField}");
        }
    }

    /// <summary>The name of a table stands in statements as it is, as daprd has it.</summary>
    protected static string TableName(ComponentMetadata metadata, string field, string defaultValue, string suffix = "")
    {
        var name = metadata.Text(field, defaultValue) + suffix;
        return Identifier().IsMatch(name) ? name : throw metadata.Invalid(field, "of letters, digits and underscores, with a schema before a dot if wanted");
    }

    protected abstract IEnumerable<NpgsqlParameter> Value(StateUpsert upsert);

    protected abstract NpgsqlParameter Tag(string tag);

    private static NpgsqlParameter<string> Key(StateWrite write) => new() { TypedValue = write.Key, NpgsqlDbType = NpgsqlDbType.Text };

    private static NpgsqlParameter Ttl(StateUpsert upsert) => new()
    {
        Value = upsert.TtlSeconds is > 0 and { } seconds ? (double)seconds : DBNull.Value,
        NpgsqlDbType = NpgsqlDbType.Double,
    };

    [GeneratedRegex(@"^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$", RegexOptions.CultureInvariant)]
    private static partial Regex Identifier();

    /// <summary>What the versions differ in.</summary>
    protected sealed record Layout
    {
        public required string Version { get; init; }

        /// <summary>The metadata field that names the table.</summary>
        public required string NameField { get; init; }

        public required string TagColumn { get; init; }

        public required string ExpiryColumn { get; init; }

        public required string UpdateColumn { get; init; }

        /// <summary>What a write sets, and to what; the parameters are those of <see cref="Value"/>, from $3 on.</summary>
        public required string Columns { get; init; }

        public required string Values { get; init; }

        /// <summary>The parameter behind those of the value.</summary>
        public required string TagParameter { get; init; }

        /// <summary>The value as it was written.</summary>
        public required string Bytes { get; init; }

        /// <summary>By which the table is known.</summary>
        public required IReadOnlyList<(string Column, string Type)> Types { get; init; }
    }
}
