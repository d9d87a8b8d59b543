namespace EmbeddedSidecar.Components.State;

/// <summary>A stored value. <c>ExpiresAt</c> only where the store tells it (redis does not); an empty <c>ETag</c> is none.</summary>
internal sealed record StateEntry(ReadOnlyMemory<byte> Value, string ETag, DateTimeOffset? ExpiresAt);

/// <summary>One write of one key. <c>ETag</c> null means none was sent. Keys arrive with their prefix.</summary>
internal abstract record StateWrite(string Key, string? ETag, bool FirstWrite);

/// <summary><c>TtlSeconds</c>: null leaves it to the store, -1 takes an expiry off.</summary>
internal sealed record StateUpsert(string Key, ReadOnlyMemory<byte> Value, string? ETag, bool FirstWrite, int? TtlSeconds)
    : StateWrite(Key, ETag, FirstWrite)
{
    /// <summary>The value came as a JSON value and was written anew, not as bytes that nobody looks into. It matters to a store that keeps JSON.</summary>
    public bool IsJson { get; init; }

    /// <summary>Said so with the option last-write, and not just by saying nothing. It matters to Redis, which then passes over the tag.</summary>
    public bool LastWrite { get; init; }

    /// <summary>In a transaction: only where the write before it was done. It matters to a store that has no rollback.</summary>
    public bool OnlyAfterPrevious { get; init; }
}

internal sealed record StateDelete(string Key, string? ETag, bool FirstWrite) : StateWrite(Key, ETag, FirstWrite);

internal enum StateFailure
{
    /// <summary>The tag is another one: 409 / Aborted on a single write.</summary>
    ETagMismatch,

    /// <summary>The store cannot read the tag: 400 / InvalidArgument.</summary>
    ETagInvalid,

    /// <summary>Anything else: 500 / Internal. Whether the write happened is unknown to the caller.</summary>
    Other,
}

/// <summary>What a store answers when it refuses or fails; the message is the text daprd passes on.</summary>
internal sealed class StateStoreException(StateFailure failure, string message, Exception? inner = null) : Exception(message, inner)
{
    private const string MismatchText = "possible etag mismatch. error from state store";

    public StateFailure Failure { get; } = failure;

    /// <summary>In daprd's words; <paramref name="detail"/> only where the store gives one.</summary>
    public static StateStoreException Mismatch(string? detail = null) =>
        new(StateFailure.ETagMismatch, detail is null ? MismatchText : $"{MismatchText}: {detail}");
}

/// <summary>A state store component (components-contrib/state). One instance serves every application.</summary>
internal interface IStateStore : IAsyncDisposable
{
    /// <summary>As the metadata API lists them: ETAG, TRANSACTIONAL, TTL, ...</summary>
    IReadOnlyList<string> Capabilities { get; }

    /// <summary>daprd's in-memory store cannot tell an empty value from none: GET answers 204.</summary>
    bool HidesEmptyValues => false;

    /// <summary>A key that is there is answered once, however often it was asked for: daprd's SQLite and PostgreSQL give the rows that they find.</summary>
    bool AnswersKeysOnce => false;

    /// <summary>Not every store of daprd looks for words that no option has.</summary>
    bool RefusesUnknownOptions(bool ofDelete, bool inTransaction) => true;

    /// <summary>The seconds of a <c>ttlInSeconds</c>, which stores read with different rules and texts.</summary>
    /// <exception cref="StateStoreException">It is no number that the store takes.</exception>
    int ReadTtl(string text);

    Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken);

    /// <summary>The entries at the positions of their keys, null where there is none.</summary>
    Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken);

    /// <summary>Each write stands alone: at its position null, or why it failed. Never throws for a single write's failure.</summary>
    Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken);

    /// <summary>All or nothing, in order (except on redis, which has no rollback).</summary>
    /// <exception cref="StateStoreException">Nothing was written.</exception>
    Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken);
}
