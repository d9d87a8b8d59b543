using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>Positions of a publisher's log that its store has lost and a declared recovery has given up: who follows the log passes them, and says so.</summary>
public static class LostHistory
{
    private static readonly Meter Meter = new("DaprOrders.CatchUp");
    private static readonly Counter<long> Positions = Meter.CreateCounter<long>(
        "catchup.lost_positions", "{position}", "Positions of publishers' logs that their store has lost, passed after a declared recovery.");

    /// <param name="gaps">Of the page that was just read; null: none.</param>
    public static void Tell(string publisher, string lane, IReadOnlyList<LostPositions>? gaps, ILogger logger)
    {
        foreach (var gap in gaps ?? [])
        {
            Positions.Add(gap.To - gap.From + 1, new KeyValuePair<string, object?>("publisher", publisher));
            logger.LogError(
                "The store of {Publisher} has lost the positions {From} to {To} of lane {Lane}; what they held never comes, and following goes on behind them",
                publisher, gap.From, gap.To, lane);
        }
    }
}
