using System.Collections.Immutable;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Provider;
using Microsoft.Extensions.Options;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>What happened to the list of payments that nobody's message waits for any more. Streams <c>unsettled-{shard}</c>, not published.</summary>
public abstract record UnsettledEvent(string OrderId);

public sealed record PaymentLeftUnsettled(string OrderId) : UnsettledEvent(OrderId);

public sealed record PaymentSettled(string OrderId) : UnsettledEvent(OrderId);

/// <summary>The payments whose charge or refund took too long for the message that asked for it. Durable, so that a restart takes them up again.</summary>
public sealed class UnsettledPayments(EventStore store, IOptions<PaymentsOptions> options)
{
    private static readonly Shards Shards = new(16);

    private static readonly StreamCategory<ImmutableList<string>, UnsettledEvent> Category = new("unsettled", null, [], Evolve);

    /// <summary>When it returns, the payment will be settled whatever happens to this process.</summary>
    /// <exception cref="UnclearOutcomeException">The list is full.</exception>
    public async Task AddAsync(string orderId, CancellationToken cancellationToken)
    {
        var most = (options.Value.MaxUnsettled + Shards.Count - 1) / Shards.Count;
        var handled = await store.HandleAsync(
            Category,
            Shards.Of(orderId),
            open => open.Contains(orderId) ? Decision<UnsettledEvent>.Nothing
                : open.Count < most ? new PaymentLeftUnsettled(orderId)
                : Decision<UnsettledEvent>.Refuse("too-many-unsettled", "Too many payments wait for the payment provider; their messages stay with the broker."),
            new CommandContext(),
            cancellationToken);
        if (handled.Refusal is { } refusal)
        {
            throw new UnclearOutcomeException(refusal.Reason);
        }
    }

    public Task RemoveAsync(string orderId, CancellationToken cancellationToken) => store.HandleAsync(
        Category,
        Shards.Of(orderId),
        open => open.Contains(orderId) ? new PaymentSettled(orderId) : Decision<UnsettledEvent>.Nothing,
        new CommandContext(),
        cancellationToken);

    public async Task<IReadOnlyList<string>> ReadAsync(CancellationToken cancellationToken)
    {
        var shards = await Task.WhenAll(Shards.All.Select(shard => store.LoadAsync(Category, shard, cancellationToken)));
        return [.. shards.SelectMany(shard => shard.State)];
    }

    private static ImmutableList<string> Evolve(ImmutableList<string> open, UnsettledEvent happened) => happened switch
    {
        PaymentLeftUnsettled => open.Add(happened.OrderId),
        PaymentSettled => open.Remove(happened.OrderId),
        _ => throw new UnknownEventException($"The list of unsettled payments knows no {happened.GetType().Name}."),
    };
}
