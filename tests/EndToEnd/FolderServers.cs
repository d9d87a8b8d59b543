using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>The servers that a folder of components stands on, a test's own; none for components/local.</summary>
internal sealed class FolderServers : IAsyncDisposable
{
    internal const string ShippedPostgres = "host=localhost port=5432 user=postgres password=postgres dbname=daprorders sslmode=disable";

    private readonly string _components;

    private FolderServers(string components, IServer? broker, IServer? store) => (_components, Broker, Store) = (components, broker, store);

    public IServer? Broker { get; }

    /// <summary>Redis is both.</summary>
    public IServer? Store { get; }

    /// <summary>Where one is not installed the test is skipped, and fails in CI.</summary>
    public static async Task<FolderServers> StartAsync(string components, CancellationToken cancel)
    {
        ServerProgram.Require(components switch
        {
            "redis" => RedisServer.Missing,
            "nats" => NatsServer.Missing ?? PostgresServer.Missing,
            "rabbitmq" => RabbitMqServer.Missing ?? PostgresServer.Missing,
            "kafka" => PostgresServer.Missing,
            _ => null,
        });
        IServer? broker = components switch
        {
            "redis" => await RedisServer.StartAsync(cancel, keeps: true),
            "nats" => await NatsServer.StartAsync(cancel),
            "rabbitmq" => await RabbitMqServer.StartAsync(virtualHosts: 1, cancel),
            "kafka" => await KafkaServer.StartAsync(cancel),
            _ => null,
        };
        return new FolderServers(components, broker, broker is null or RedisServer ? broker : await PostgresServer.StartAsync(cancel));
    }

    /// <summary>The folder as it is shipped, on these servers.</summary>
    public async Task<Installation> InstallAsync(CancellationToken cancel)
    {
        var installation = new Installation();
        switch (Broker)
        {
            case RedisServer redis:
                installation.Use(_components, ("localhost:6379", redis.Address));
                break;
            case NatsServer nats:
                installation.Use(_components, ("nats://localhost:4222", nats.Url), await StoreAsync());
                await installation.MakeStreamsAsync(cancel);
                break;
            case RabbitMqServer rabbitMq:
                installation.Use(_components, ("amqp://guest:guest@localhost:5672", rabbitMq.ConnectionString(rabbitMq.NewVirtualHost())), await StoreAsync());
                break;
            case KafkaServer kafka:
                installation.Use(_components, ("localhost:9092", kafka.Address), await StoreAsync());
                break;
        }

        return installation;

        async Task<(string, string)> StoreAsync()
        {
            var postgres = (PostgresServer)Store!;
            return (ShippedPostgres, postgres.ConnectionString(await postgres.NewDatabaseAsync(cancel)));
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Broker is not null)
            await Broker.DisposeAsync();
        if (Store is not null && Store != Broker)
            await Store.DisposeAsync();
    }
}
