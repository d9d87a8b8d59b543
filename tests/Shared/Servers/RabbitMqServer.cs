using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace DaprOrders.Tests.Servers;

/// <summary>
/// A RabbitMQ of its own on free ports, with an Erlang port mapper (epmd) of its own, since a common one would outlive it; both are gone with the object.
/// It can be stopped, killed and started again on what it has on disk.
/// </summary>
public sealed class RabbitMqServer : IServer
{
    /// <summary>Debian's program of that name in the PATH is for root and rabbitmq alone, and takes no settings; this is what it calls.</summary>
    private const string DebianProgram = "/usr/lib/rabbitmq/bin/rabbitmq-server";

    private readonly string _directory;
    private readonly Dictionary<string, string> _environment;
    private readonly Process _portMapper;
    private Process? _process;
    private int _virtualHosts;

    private RabbitMqServer(Process process, Process portMapper, string directory, int port, Dictionary<string, string> environment) =>
        (_process, _portMapper, _directory, Port, _environment) = (process, portMapper, directory, port, environment);

    /// <summary>Why there can be none here; null when there can.</summary>
    public static string? Missing =>
        Program is null || ServerProgram.Find("epmd") is null ? "rabbitmq-server is not installed (apt-get install rabbitmq-server)" : null;

    public const string Host = "127.0.0.1";

    private static string? Program => File.Exists(DebianProgram) ? DebianProgram : ServerProgram.Find("rabbitmq-server");

    public int Port { get; }

    /// <summary>As a component of Dapr takes it.</summary>
    public string ConnectionString(string virtualHost, int? port = null) =>
        string.Create(CultureInfo.InvariantCulture, $"amqp://guest:guest@{Host}:{port ?? Port}/{virtualHost}");

    /// <summary>The name of a virtual host that nobody has used.</summary>
    public string NewVirtualHost() => Interlocked.Increment(ref _virtualHosts) is var number && number <= VirtualHosts
        ? $"v{number}"
        : throw new InvalidOperationException($"all {VirtualHosts} virtual hosts of the test's RabbitMQ are in use; raise VirtualHosts");

    /// <param name="virtualHosts">Made at the start: later ones would each take a start of Erlang.</param>
    public static async Task<RabbitMqServer> StartAsync(int virtualHosts, CancellationToken cancel)
    {
        var directory = Directory.CreateTempSubdirectory("rabbitmq-").FullName;
        var (port, distribution, mapper) = (FreePort.Next(), FreePort.Next(), FreePort.Next());
        await File.WriteAllTextAsync(Path.Combine(directory, "definitions.json"), Definitions(virtualHosts), cancel);
        await File.WriteAllTextAsync(Path.Combine(directory, "rabbitmq.conf"), $"""
            listeners.tcp.1 = {Host}:{port}
            load_definitions = {directory}/definitions.json
            disk_free_limit.absolute = 1MB
            """, cancel);
        await File.WriteAllTextAsync(Path.Combine(directory, "enabled_plugins"), "[].", cancel);
        var environment = new Dictionary<string, string>
        {
            ["HOME"] = directory,
            ["ERL_EPMD_ADDRESS"] = Host,
            ["ERL_EPMD_PORT"] = Text(mapper),
            ["RABBITMQ_NODENAME"] = $"test{port}@localhost",
            ["RABBITMQ_DIST_PORT"] = Text(distribution),
            ["RABBITMQ_CONF_ENV_FILE"] = Path.Combine(directory, "none"),
            ["RABBITMQ_CONFIG_FILE"] = Path.Combine(directory, "rabbitmq.conf"),
            ["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(directory, "enabled_plugins"),
            ["RABBITMQ_MNESIA_BASE"] = Path.Combine(directory, "mnesia"),
            ["RABBITMQ_LOG_BASE"] = Path.Combine(directory, "log"),
            ["RABBITMQ_LOGS"] = "-",
            ["RABBITMQ_PID_FILE"] = Path.Combine(directory, "pid"),
            ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-kernel inet_dist_use_interface {127,0,0,1}",
            // The process that is started is then RabbitMQ itself, not a script that waits for it.
            ["RUNNING_UNDER_SYSTEMD"] = "1",
        };
        var portMapper = Process.Start(ServerProgram.Info(ServerProgram.Find("epmd")!, ["-address", Host, "-port", Text(mapper)]))!;
        try
        {
            return new RabbitMqServer(await RunAsync(environment, cancel), portMapper, directory, port, environment) { VirtualHosts = virtualHosts };
        }
        catch
        {
            await EndAsync(portMapper);
            throw;
        }

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    public bool IsRunning => _process is not null;

    private int VirtualHosts { get; init; }

    /// <summary>As kill -9 does.</summary>
    public async Task KillAsync(CancellationToken cancel)
    {
        await EndAsync(_process!);
        _process = null;
    }

    /// <summary>In order, with everything written down.</summary>
    public async Task StopAsync(CancellationToken cancel)
    {
        await ServerProgram.TerminateAsync(_process!, cancel);
        _process!.Dispose();
        _process = null;
    }

    public async Task StartAgainAsync(CancellationToken cancel) => _process = await RunAsync(_environment, cancel);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await EndAsync(_process);
        await EndAsync(_portMapper);
        Directory.Delete(_directory, recursive: true);
    }

    private static Task<Process> RunAsync(Dictionary<string, string> environment, CancellationToken cancel) =>
        ServerProgram.StartAsync(Program!, [], "Server startup complete", cancel, environment);

    private static async Task EndAsync(Process process)
    {
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static string Definitions(int virtualHosts)
    {
        var names = Enumerable.Range(1, virtualHosts).Select(number => $"v{number}").ToList();
        return JsonSerializer.Serialize(new
        {
            users = new[] { new { name = "guest", password = "guest", tags = "administrator" } },
            vhosts = names.Select(name => new { name }),
            permissions = names.Select(vhost => new { user = "guest", vhost, configure = ".*", write = ".*", read = ".*" }),
        });
    }
}
