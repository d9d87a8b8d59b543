using System.Collections.Concurrent;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Payments;
using Microsoft.Extensions.Options;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>Takes unsettled payments up again: at the start, and from time to time. Several instances may do so at once.</summary>
public sealed class UnsettledWorker(
    UnsettledPayments unsettled, Settlement settlement, EventStore store, IOptions<PaymentsOptions> options, TimeProvider time, ILogger<UnsettledWorker> logger)
    : BackgroundService
{
    private const int AtOnce = 64;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await store.Ready.WaitAsync(stoppingToken);
        using var ticks = new PeriodicTimer(options.Value.SettleEvery, time);
        do
        {
            try
            {
                var open = await unsettled.ReadAsync(stoppingToken);
                var failures = new ConcurrentQueue<(string OrderId, Exception Failure)>();
                await Parallel.ForEachAsync(
                    open,
                    new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = stoppingToken },
                    async (orderId, cancellation) =>
                    {
                        if (await TrySettleAsync(orderId, cancellation) is { } failure)
                            failures.Enqueue((orderId, failure));
                    });
                // One line, not one per order: usually they all wait for the same provider.
                if (failures.TryPeek(out var first))
                {
                    logger.LogWarning(
                        first.Failure,
                        "{Unsettled} payments, that of order {OrderId} among them, are still unsettled; tried again in {SettleEvery}",
                        failures.Count, first.OrderId, options.Value.SettleEvery);
                }
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning(exception, "The unsettled payments could not be read; tried again in {SettleEvery}", options.Value.SettleEvery);
            }
        }
        while (await ticks.WaitForNextTickAsync(stoppingToken));
    }

    /// <summary>Null when the payment owes nothing any more.</summary>
    private async Task<Exception?> TrySettleAsync(string orderId, CancellationToken cancellationToken)
    {
        try
        {
            var payment = await store.LoadAsync(Payment.Category, orderId, cancellationToken);
            await settlement.SettleAsync(orderId, payment.State);
            await unsettled.RemoveAsync(orderId, cancellationToken);
            return null;
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            return exception;
        }
    }
}
