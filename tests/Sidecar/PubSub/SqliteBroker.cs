using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>A broker of SQLite in a folder of the test, and what its file holds.</summary>
public abstract class SqliteBroker : IDisposable
{
    private protected TemporaryFolder Folder { get; } = new();

    private protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static BrokerMessage Message(string text) => new(System.Text.Encoding.UTF8.GetBytes(text), null, null);

    private protected static TopicSubscription Subscription(string consumer) => new("orders", consumer, new Dictionary<string, string>());

    private protected static async Task Publish(SqlitePubSub broker, int from, int to, string topic = "orders") =>
        Assert.All(
            await broker.PublishManyAsync(
                topic, [.. Enumerable.Range(from, to - from + 1).Select(n => Message($"{n}"))], Cancellation),
            Assert.Null);

    private protected SqlitePubSub Open(string? path = null, TimeProvider? time = null) =>
        new(new() { Path = path ?? Folder.File("pubsub.db") }, NullLogger<SqlitePubSub>.Instance, time ?? TimeProvider.System);

    private protected long CountMessages() => (long)Query("SELECT COUNT(*) FROM message")!;

    private protected object? Query(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Folder.File("pubsub.db")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }
}
