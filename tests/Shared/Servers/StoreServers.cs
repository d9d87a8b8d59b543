namespace DaprOrders.Tests.Servers;

/// <summary>The servers of a test run, each started when it is first asked for.</summary>
public sealed class StoreServers : IAsyncDisposable
{
    /// <summary>Each recording and each test takes one of its own.</summary>
    private const int RabbitMqVirtualHosts = 100;

    private readonly Lazy<Task<RedisServer>> _redis = new(() => RedisServer.StartAsync(CancellationToken.None));
    private readonly Lazy<Task<RabbitMqServer>> _rabbitMq = new(() => RabbitMqServer.StartAsync(RabbitMqVirtualHosts, CancellationToken.None));
    private readonly Lazy<Task<PostgresServer>> _postgres = new(() => PostgresServer.StartAsync(CancellationToken.None));

    /// <summary>Why the server of a component cannot run here; null when it can, or needs none.</summary>
    public static string? Missing(string component) => component switch
    {
        "redis" => RedisServer.Missing,
        "postgresql" or "postgresql-v1" => PostgresServer.Missing,
        "jetstream" => NatsServer.Missing,
        "rabbitmq" => RabbitMqServer.Missing,
        _ => null,
    };

    public Task<RedisServer> RedisAsync() => _redis.Value;

    public Task<RabbitMqServer> RabbitMqAsync() => _rabbitMq.Value;

    public Task<PostgresServer> PostgresAsync() => _postgres.Value;

    public async Task<int> PortOfAsync(string component) => component == "redis" ? (await RedisAsync()).Port : (await PostgresAsync()).Port;

    public async ValueTask DisposeAsync()
    {
        // One that did not start has failed its tests, with the reason.
        if (_redis is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await _redis.Value).DisposeAsync();
        if (_rabbitMq is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await _rabbitMq.Value).DisposeAsync();
        if (_postgres is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await _postgres.Value).DisposeAsync();
    }
}
