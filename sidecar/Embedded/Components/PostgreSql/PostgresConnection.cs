using Npgsql;

namespace EmbeddedSidecar.Components.PostgreSql;

/// <summary>The metadata fields of every component on PostgreSQL, with Dapr's names and defaults (common/authentication/postgresql).</summary>
internal static class PostgresConnection
{
    private const int FewestConnections = 4;
    private const int PreparedStatements = 20;

    private static readonly string[] ConnectionFields = ["host", "hostaddr", "port", "database", "user", "password", "sslRootCert"];

    private static readonly string[] Refused = ["useAzureAD", "useAWSIAM"];

    public static IReadOnlyList<string> ServerFields { get; } = ["connectionString", "url", "host", "hostaddr"];

    public static IReadOnlyList<string> Absent { get; } = [.. IdentityProviders.Azure, .. IdentityProviders.Aws];

    public static IReadOnlyList<string> Fields { get; } =
    [
        "connectionString", "url", .. ConnectionFields, "timeout", "timeoutInSeconds", "maxConns", "connectionMaxIdleTime", "queryExecMode", .. Refused,
    ];

    public static NpgsqlConnectionStringBuilder Read(ComponentMetadata metadata)
    {
        foreach (var name in Refused)
        {
            if (metadata.Boolean(name, false))
                throw metadata.Invalid(name, "false (this sidecar knows users with passwords only)");
        }

        var timeoutField = metadata.Text("timeout") is null ? "timeoutInSeconds" : "timeout";
        var timeout = metadata.Duration(timeoutField, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(1));
        if (timeout < TimeSpan.FromSeconds(1))
            throw metadata.Invalid(timeoutField, "at least one second");
        var connection = ReadConnection(metadata);
        connection.CommandTimeout = (int)Math.Ceiling(timeout.TotalSeconds);
        return connection;
    }

    private static NpgsqlConnectionStringBuilder ReadConnection(ComponentMetadata metadata)
    {
        var field = metadata.Text("connectionString") is null && metadata.Text("url") is not null ? "url" : "connectionString";
        NpgsqlConnectionStringBuilder connection;
        try
        {
            var settings = new Dictionary<string, string>(PostgresConnectionString.Parse(metadata.Text(field, "")));
            foreach (var name in ConnectionFields)
            {
                // A field of its own wins over the same word in the connection string.
                if (metadata.Text(name) is { Length: > 0 } value)
                    settings[name == "sslRootCert" ? "sslrootcert" : name] = value;
            }

            connection = PostgresConnectionString.Translate(settings);
        }
        catch (FormatException e)
        {
            throw metadata.Invalid(field, e.Message);
        }

        if (string.IsNullOrEmpty(connection.Host))
            metadata.Required(field);
        SetPool(connection, metadata);
        return connection;
    }

    private static void SetPool(NpgsqlConnectionStringBuilder connection, ComponentMetadata metadata)
    {
        var most = metadata.Number("maxConns", 0);
        if (most > 1)
            connection.MaxPoolSize = most;
        else if (!connection.ShouldSerialize("Maximum Pool Size"))
            connection.MaxPoolSize = Math.Max(FewestConnections, Environment.ProcessorCount);
        var idle = metadata.Duration("connectionMaxIdleTime", TimeSpan.Zero, TimeSpan.FromSeconds(1));
        if (idle > TimeSpan.Zero)
            connection.ConnectionIdleLifetime = (int)Math.Ceiling(idle.TotalSeconds);
        connection.MaxAutoPrepare = metadata.Text("queryExecMode", "cache_statement") switch
        {
            "cache_statement" => PreparedStatements,
            "cache_describe" or "describe_exec" or "exec" or "simple_protocol" => 0,
            _ => throw metadata.Invalid("queryExecMode", "cache_statement, cache_describe, describe_exec, exec or simple_protocol"),
        };
        // Nothing is ever set on a session that the next user could stumble over.
        connection.NoResetOnClose = true;
        connection.Enlist = false;
    }
}
