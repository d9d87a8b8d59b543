using StackExchange.Redis;

namespace EmbeddedSidecar.Components.Redis;

/// <summary>
/// Commands of many callers that come while others are under way go out in one write, and their answers come in one read: each alone would wake the server, and
/// this process, once more.
/// </summary>
internal sealed class RedisPipeline
{
    private const int CallsAtOnce = 2;
    private const int CommandsInCall = 128;

    private readonly IDatabase _database;
    private readonly Gathered<Func<IDatabaseAsync, Task>, Task> _commands;

    public RedisPipeline(IDatabase database)
    {
        _database = database;
        _commands = new(SendAsync, CallsAtOnce, CommandsInCall);
    }

    /// <exception cref="RedisException">As where it had been sent alone.</exception>
    public async Task<T> SendAsync<T>(Func<IDatabaseAsync, Task<T>> command, CancellationToken cancellationToken) =>
        await (Task<T>)await _commands.AskAsync(command, cancellationToken);

    /// <returns>The commands, each at its end.</returns>
    private async Task<IReadOnlyList<Task>> SendAsync(IReadOnlyList<Func<IDatabaseAsync, Task>> commands)
    {
        var batch = commands.Count > 1 ? _database.CreateBatch() : null;
        Task[] sent = [.. commands.Select(command => command(batch ?? (IDatabaseAsync)_database))];
        batch?.Send();
        await Task.WhenAll(sent).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return sent;
    }
}

internal static class RedisBatches
{
    /// <summary>Without a connection the client fails each of the commands, and throws besides.</summary>
    public static void Send(this IBatch batch)
    {
        try
        {
            batch.Execute();
        }
        catch (RedisException)
        {
            // Each command says so to whoever waits for it.
        }
    }
}
