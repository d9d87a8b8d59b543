using System.Collections.Concurrent;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Provider;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>Settles open payments, the oldest first, as many at once as the provider takes.</summary>
public sealed class SettlingOpenPayments(
    OpenPayments open, ProviderPace pace, Settlement settlement, EventStore store, ILogger<SettlingOpenPayments> logger) : BackgroundService
{
    private readonly ConcurrentDictionary<Task, byte> _running = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await store.Ready.WaitAsync(stoppingToken);
            while (true)
            {
                await open.WaitAsync(stoppingToken);
                await pace.EnterAsync(stoppingToken);
                if (open.TryTake() is { } payment)
                {
                    var settling = SettleAsync(payment, stoppingToken);
                    _running.TryAdd(settling, 0);
                    _ = settling.ContinueWith(done => _running.TryRemove(done, out _), TaskScheduler.Default);
                }
                else
                {
                    pace.Leave();
                }
            }
        }
        finally
        {
            await Task.WhenAll(_running.Keys);
        }
    }

    private async Task SettleAsync(OpenPayment payment, CancellationToken stoppingToken)
    {
        // Not on the thread that hands the payments out.
        await Task.Yield();
        try
        {
            open.Settled(payment, await settlement.SettleAsync(payment, stoppingToken));
        }
        catch (Exception exception)
        {
            open.Failed(payment);
            if (!stoppingToken.IsCancellationRequested && exception is not UnclearOutcomeException { IsProviderThere: false })
            {
                logger.LogWarning(exception, "The payment of order {OrderId} cannot be settled yet; it is taken up again", payment.OrderId);
            }
        }
        finally
        {
            pace.Leave();
        }
    }
}
