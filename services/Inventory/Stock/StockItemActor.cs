using Dapr.Actors;
using Dapr.Actors.Client;
using Dapr.Actors.Runtime;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.Stock;

public interface IStockItemActor : IActor
{
    /// <summary>Applies a batch to the stock of the SKU that is the actor's id; one answer for each command.</summary>
    Task<StockAnswer[]> ApplyAsync(StockCommand[] commands);
}

/// <summary>
/// The queue before the stock of one SKU: its turns keep the writers of a stream from conflicting. It guards nothing: two hosts can briefly run
/// one actor, and then the stream's ETag decides.
/// </summary>
public sealed class StockItemActor(ActorHost host, EventStore store) : Actor(host), IStockItemActor
{
    /// <summary>The call that reaches it through the sidecar.</summary>
    public static ApplyToStock CallThrough(IActorProxyFactory actors) => async (sku, commands, cancellationToken) => await actors
        .Create(new ActorId(sku), nameof(StockItemActor))
        .InvokeMethodAsync<StockCommand[], StockAnswer[]>(nameof(ApplyAsync), commands, cancellationToken);

    public async Task<StockAnswer[]> ApplyAsync(StockCommand[] commands) => await ApplyAsync(store, Id.GetId(), commands, CancellationToken.None);

    /// <summary>What a turn does: one append for the whole batch; after a conflict everything is decided anew.</summary>
    public static async Task<StockAnswer[]> ApplyAsync(EventStore store, string sku, IReadOnlyList<StockCommand> commands, CancellationToken cancellationToken)
    {
        IReadOnlyList<StockAnswer> answers = [];
        await store.HandleAsync(
            StockItem.Category,
            sku,
            [.. commands.SelectMany(command => command.RestsOn)],
            (stock, known) =>
            {
                (var happened, answers) = StockDecider.Decide(stock, known, commands);
                return Decision<StockEvent>.Of([.. happened]);
            },
            new CommandContext(),
            cancellationToken);
        return [.. answers];
    }
}

/// <summary>Applies a batch to the stock of one SKU.</summary>
public delegate Task<StockAnswer[]> ApplyToStock(string sku, StockCommand[] commands, CancellationToken cancellationToken);
