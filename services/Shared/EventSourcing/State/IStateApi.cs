namespace DaprOrders.EventSourcing.State;

/// <summary>A value with the tag that the store gave it.</summary>
public sealed record StateValue(ReadOnlyMemory<byte> Value, string ETag);

/// <summary>One write of one key: with the tag it was read with, or, where <c>ETag</c> is null, only if the key is new.</summary>
public sealed record StateWrite(string Key, ReadOnlyMemory<byte> Value, string? ETag);

/// <summary>What the store does with several writes in one call.</summary>
public enum BatchWrites
{
    /// <summary>A transaction writes all or nothing (sqlite, postgresql, in-memory, ...).</summary>
    Atomic,

    /// <summary>
    /// Each is written, or refused, by itself, and the answer does not say which (every other store; redis too, whose transactions do not roll
    /// back).
    /// </summary>
    Separate,
}

/// <summary>
/// What the event store needs of a Dapr state store. Every call may fail before its effect, after it, or take effect after the caller gave up:
/// a caller never takes an exception for "not written".
/// </summary>
public interface IStateApi
{
    /// <summary>Asked until it is answered, then never again.</summary>
    /// <exception cref="UnsuitableStateStoreException">Streams cannot be kept in this store.</exception>
    Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken);

    /// <summary>The value as the last write that was answered left it, or null where there is none.</summary>
    Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken);

    /// <summary>The values at the positions of their keys, null where there is none; each as <see cref="GetAsync"/> answers it, at a moment of its own.</summary>
    Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken);

    /// <summary>True: written. False: refused, the tag is another one or the key exists. Daprd on redis also says so of a lost connection, so read again before you rely on it.</summary>
    Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken);

    /// <summary>Several writes in one call; what its answer means is said by <see cref="BatchWrites"/>.</summary>
    Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken);
}

/// <summary>The state store cannot hold an event store, or there is no such store: asking again would change nothing.</summary>
public sealed class UnsuitableStateStoreException(string message) : Exception(message);
