using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace DaprOrders.Tests.Servers;

/// <summary>
/// A PostgreSQL of its own on a free port, gone with the object. It refuses to run as root, so for root it runs as the user postgres. It can be stopped or
/// killed, and started again on its data.
/// </summary>
public sealed class PostgresServer : IServer
{
    private const string SystemUser = "postgres";
    private const int MostAttempts = 50;

    private readonly string _directory;
    private readonly int _port;
    private Process _process;
    private int _databases;

    private PostgresServer(Process process, string directory, int port) => (_process, _directory, _port) = (process, directory, port);

    /// <summary>Why there can be none here; null when there can.</summary>
    public static string? Missing =>
        ServerProgram.Find("initdb") is null || ServerProgram.Find("postgres") is null ? "PostgreSQL is not installed (apt-get install postgresql)"
        : IsRoot && ServerProgram.Find("runuser") is null ? "PostgreSQL does not run as root, and there is no runuser here: run the tests as another user"
        : null;

    public const string Host = "127.0.0.1";

    public int Port => _port;

    /// <summary>As a component of Dapr takes it.</summary>
    public string ConnectionString(string database, int? port = null) => $"host={Host} port={port ?? _port} user=postgres dbname={database} sslmode=disable";

    public static async Task<PostgresServer> StartAsync(CancellationToken cancel, int? onPort = null)
    {
        var directory = Directory.CreateTempSubdirectory("postgres-").FullName;
        if (IsRoot)
            await ServerProgram.RunAsync("chown", [SystemUser, directory], cancel);
        var data = Path.Combine(directory, "data");
        var (initdb, initdbArguments) = AsUser("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync");
        await ServerProgram.RunAsync(initdb, initdbArguments, cancel);
        var port = onPort ?? FreePort.Next();
        return new PostgresServer(await RunAsync(directory, port, cancel), directory, port);
    }

    /// <summary>It ends its clients' connections.</summary>
    public Task StopAsync(CancellationToken cancel) => StopAsync("fast", cancel);

    /// <summary>The server and the process of each connection.</summary>
    public async Task KillAsync(CancellationToken cancel)
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(cancel);
    }

    public async Task StartAgainAsync(CancellationToken cancel)
    {
        using var before = _process;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                _process = await RunAsync(_directory, _port, cancel);
                return;
            }
            catch (InvalidOperationException) when (attempt < MostAttempts)
            {
                // What was killed still holds the port, or the memory that its processes shared.
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancel);
            }
        }
    }

    /// <summary>Creates an empty database and hands back its name.</summary>
    public async Task<string> NewDatabaseAsync(CancellationToken cancel)
    {
        var name = $"test{Interlocked.Increment(ref _databases)}";
        await ExecuteAsync("postgres", $"CREATE DATABASE {name}", cancel);
        return name;
    }

    /// <summary>The first value of the first row, where there is one.</summary>
    public async Task<object?> ExecuteAsync(string database, string sql, CancellationToken cancel)
    {
        await using var connection = new NpgsqlConnection($"Host={Host};Port={_port};Username=postgres;Database={database};Pooling=false");
        await connection.OpenAsync(cancel);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancel);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await StopAsync("immediate", CancellationToken.None);
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static Task<Process> RunAsync(string directory, int port, CancellationToken cancel)
    {
        var (postgres, arguments) = AsUser(
            "postgres", "-D", Path.Combine(directory, "data"), "-p", port.ToString(CultureInfo.InvariantCulture), "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=500");
        return ServerProgram.StartAsync(postgres, arguments, "ready to accept connections", cancel);
    }

    private async Task StopAsync(string mode, CancellationToken cancel)
    {
        var (stop, arguments) = AsUser("pg_ctl", "stop", "-D", Path.Combine(_directory, "data"), "-m", mode);
        await ServerProgram.RunAsync(stop, arguments, cancel);
        await _process.WaitForExitAsync(cancel);
    }

    private static bool IsRoot => Environment.IsPrivilegedProcess && !OperatingSystem.IsWindows();

    private static (string Program, string[] Arguments) AsUser(string name, params string[] arguments)
    {
        var program = ServerProgram.Find(name)!;
        return IsRoot
            ? ("runuser", ["-u", SystemUser, "--", program, .. arguments])
            : (program, arguments);
    }
}
