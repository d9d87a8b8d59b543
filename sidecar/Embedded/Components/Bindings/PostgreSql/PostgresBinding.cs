using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using EmbeddedSidecar.Components.PostgreSql;
using EmbeddedSidecar.Formats;
using Npgsql;

namespace EmbeddedSidecar.Components.Bindings.PostgreSql;

/// <summary>
/// bindings.postgres: statements of the application's own (components-contrib bindings/postgres). The metadata field <c>sql</c> is the statement, <c>params</c> the
/// list of its parameters as JSON.
/// </summary>
internal sealed class PostgresBinding : IOutputBinding
{
    private const string Sql = "sql";
    private const string Exec = "exec";
    private const string Query = "query";
    /// <summary>Of Npgsql, in seconds.</summary>
    private const int LongestConnecting = 1024;

    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly NpgsqlDataSource _database;
    private readonly TimeProvider _time;

    private PostgresBinding(NpgsqlDataSource database, TimeProvider time) => (_database, _time) = (database, time);

    public static ComponentType ComponentType { get; } =
        new("bindings.postgres", "v1", [.. PostgresConnection.Fields, BindingFields.Route, BindingFields.Direction], OpenAsync)
        {
            Absent = PostgresConnection.Absent,
            ServerFields = PostgresConnection.ServerFields,
        };

    public IReadOnlyList<string> Operations { get; } = [Exec, Query, BindingFields.Close];

    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        // The applications that have this component share it; whose it is closed to is known where each one's calls come in.
        if (call.Operation == BindingFields.Close)
            return null;
        if (call.Metadata.GetValueOrDefault(Sql, "") is not { Length: > 0 } sql)
            throw new BindingException($"required metadata not set: {Sql}");
        var parameters = PostgresParameters.Read(call.Metadata.GetValueOrDefault(PostgresParameters.Field, ""));
        var (began, start) = (_time.GetTimestamp(), _time.GetUtcNow());
        var metadata = new Dictionary<string, string> { ["operation"] = call.Operation, [Sql] = sql, ["start-time"] = Time(start) };
        var data = call.Operation == Exec ? await ExecAsync(sql, parameters, metadata, cancellationToken) : await QueryAsync(sql, parameters, cancellationToken);
        var duration = _time.GetElapsedTime(began);
        (metadata["end-time"], metadata["duration"]) = (Time(start + duration), GoDuration.Format(duration));
        return new(data, metadata);
    }

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    private static async Task<IAsyncDisposable> OpenAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var settings = PostgresConnection.Read(metadata);
        // The time is for connecting; a statement of the application's may take as long as it takes.
        (settings.Timeout, settings.CommandTimeout) = (Math.Min(settings.CommandTimeout, LongestConnecting), 0);
        var database = new NpgsqlDataSourceBuilder(settings.ConnectionString).Build();
        try
        {
            await using var connection = await database.OpenConnectionAsync(cancellationToken);
            return new PostgresBinding(database, context.Time);
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", CultureInfo.InvariantCulture);

    private async Task<byte[]> ExecAsync(
        string sql, IReadOnlyList<NpgsqlParameter> parameters, Dictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = _database.CreateCommand(sql);
            foreach (var parameter in parameters)
                command.Parameters.Add(parameter);
            await command.ExecuteNonQueryAsync(cancellationToken);
            // Without parameters there may be several statements; as with Go's driver the last one counts.
#pragma warning disable CS0618 // What is to take its place, a batch, has to be given each statement by itself.
            metadata["rows-affected"] = command.Statements[^1].Rows.ToString(CultureInfo.InvariantCulture);
#pragma warning restore CS0618
            return [];
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw Failure(e);
        }
    }

    private async Task<byte[]> QueryAsync(string sql, IReadOnlyList<NpgsqlParameter> parameters, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = _database.CreateCommand(sql);
            foreach (var parameter in parameters)
                command.Parameters.Add(parameter);
            // As text every type has a form, and a number all of its digits.
            command.AllResultTypesAreUnknown = true;
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            var written = new ArrayBufferWriter<byte>();
            await using var json = new Utf8JsonWriter(written, Json);
            json.WriteStartArray();
            while (await rows.ReadAsync(cancellationToken))
            {
                json.WriteStartArray();
                for (var i = 0; i < rows.FieldCount; i++)
                    PostgresValues.Write(json, rows.GetPostgresType(i), rows.IsDBNull(i) ? null : rows.GetString(i));
                json.WriteEndArray();
            }

            json.WriteEndArray();
            await json.FlushAsync(cancellationToken);
            return written.WrittenSpan.ToArray();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw Failure(e);
        }
    }

    private static BindingException Failure(Exception e) => new(
        e is PostgresException { MessageText: var text } refusal
            ? $"error executing query: {refusal.InvariantSeverity}: {text} (SQLSTATE {refusal.SqlState})"
            : $"error executing query: {e.Message}",
        e);
}
