using Dapr;

namespace DaprOrders.EventSourcing.State;

/// <summary>
/// Reads many keys in one call, and tells a key that is not there from one that could not be read. <c>DaprClient.GetBulkStateAsync</c> (1.19) drops the
/// error of a key, so that a caller would have to ask for each missing one once more.
/// </summary>
public interface IBulkStateReads
{
    /// <summary>Those of the keys that are there.</summary>
    /// <param name="parallelism">How many reads a sidecar whose store has no bulk read may do at once; 0 leaves it to the sidecar.</param>
    /// <exception cref="DaprException">The call failed, or a key could not be read.</exception>
    Task<IReadOnlyDictionary<string, StateValue>> ReadAsync(string stateStore, IReadOnlyCollection<string> keys, int parallelism, CancellationToken cancellationToken);
}
