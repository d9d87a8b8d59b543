using DaprOrders.EventSourcing.Projections;
using Microsoft.Extensions.Caching.Memory;

namespace DaprOrders.Reporting.Following;

/// <param name="Serving">Answers are read from this version.</param>
/// <param name="Building">A rebuild fills this one from the event logs; null when none is going on.</param>
/// <param name="Retired">Versions that served once and are still to be removed.</param>
internal sealed record ProjectionState(
    long Serving, long? Building, DateTimeOffset? BuildingSince, DateTimeOffset? ServingSince, IReadOnlyList<long> Retired)
{
    public static ProjectionState First { get; } = new(1, null, null, null, []);
}

/// <summary>Which version of the projections serves, and which is being built. Durable: a rebuild goes on after a restart.</summary>
internal sealed class ProjectionVersions(Documents documents, TimeProvider time, IMemoryCache cache)
{
    private const string Key = "projections";

    /// <summary>How long an instance may still read the former version after another has switched.</summary>
    private static readonly TimeSpan Cached = TimeSpan.FromSeconds(1);

    public async Task<ProjectionState> ReadAsync(CancellationToken cancellationToken) =>
        await documents.ReadAsync<ProjectionState>(Key, cancellationToken) ?? ProjectionState.First;

    public async Task<long> ServingAsync(CancellationToken cancellationToken)
    {
        if (cache.TryGetValue(Key, out long serving))
            return serving;

        serving = (await ReadAsync(cancellationToken)).Serving;
        return cache.Set(Key, serving, Cached);
    }

    /// <summary>Starts a rebuild, unless one is going on.</summary>
    public async Task<ProjectionState> RebuildAsync(CancellationToken cancellationToken) => (await documents.ChangeAsync<ProjectionState>(
        Key,
        state => state?.Building is not null ? state : (state ?? ProjectionState.First) with
        {
            Building = (state ?? ProjectionState.First).Serving + 1,
            BuildingSince = time.GetUtcNow(),
        },
        cancellationToken))!;

    /// <summary>The version that was built serves from now on.</summary>
    public async Task SwitchAsync(long built, CancellationToken cancellationToken)
    {
        await documents.ChangeAsync<ProjectionState>(
            Key,
            state => state?.Building == built
                ? new ProjectionState(built, null, null, time.GetUtcNow(), [.. state.Retired, state.Serving])
                : state,
            cancellationToken);
        cache.Remove(Key);
    }

    /// <summary>Nothing of that version is left.</summary>
    public Task RemovedAsync(long retired, CancellationToken cancellationToken) => documents.ChangeAsync<ProjectionState>(
        Key,
        state => state is not null && state.Retired.Contains(retired) ? state with { Retired = [.. state.Retired.Where(version => version != retired)] } : state,
        cancellationToken);
}
