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
                await Parallel.ForEachAsync(open, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = stoppingToken }, SettleAsync);
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning(exception, "The unsettled payments could not be read; tried again in {SettleEvery}", options.Value.SettleEvery);
            }
        }
        while (await ticks.WaitForNextTickAsync(stoppingToken));
    }

    private async ValueTask SettleAsync(string orderId, CancellationToken cancellationToken)
    {
        try
        {
            var payment = await store.LoadAsync(Payment.Category, orderId, cancellationToken);
            await settlement.SettleAsync(orderId, payment.State);
            await unsettled.RemoveAsync(orderId, cancellationToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            logger.LogWarning(exception, "The payment of order {OrderId} is still unsettled; tried again in {SettleEvery}", orderId, options.Value.SettleEvery);
        }
    }
}
