using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>Notices a topic that brings nothing although the publisher's log moves: its subscription is dead, and the log does its work, late.</summary>
internal sealed class TopicSilence(string topic, string publisher, TimeProvider time)
{
    /// <summary>One or two can be a broker's slip.</summary>
    private const int LooksUntilDead = 3;

    private static readonly Meter Meter = new("DaprOrders.CatchUp");
    private static readonly Counter<long> FoundEvents = Meter.CreateCounter<long>(
        "catchup.found", "{event}", "Events that no delivery brought and the publisher's log did, by topic.");

    private long _found;
    private long _delivered;
    private long _deliveredAt = time.GetTimestamp();
    private int _silentLooks;

    /// <summary>For readiness; null while the topic brings its events.</summary>
    public string? Warning { get; private set; }

    public void Delivered(int events)
    {
        Interlocked.Add(ref _delivered, events);
        Volatile.Write(ref _deliveredAt, time.GetTimestamp());
    }

    /// <summary>Whether nothing was delivered for so long.</summary>
    public bool HasLasted(TimeSpan duration) => time.GetElapsedTime(Volatile.Read(ref _deliveredAt)) >= duration;

    public void Found(int events)
    {
        Interlocked.Add(ref _found, events);
        FoundEvents.Add(events, new KeyValuePair<string, object?>("topic", topic));
    }

    /// <summary>Called after each look at the log.</summary>
    public void Look(ILogger logger)
    {
        var (found, delivered) = (Interlocked.Exchange(ref _found, 0), Interlocked.Exchange(ref _delivered, 0));
        if (delivered > 0)
        {
            _silentLooks = 0;
            if (Warning is not null)
                logger.LogInformation("Topic {Topic} brings events again", topic);
            Warning = null;
        }
        else if (found > 0 && ++_silentLooks >= LooksUntilDead && Warning is null)
        {
            Warning = $"Topic {topic} brings nothing, although the event log of {publisher} moves: its events are taken from there, seconds late. See the sidecar's subscription and the broker.";
            logger.LogWarning("{Warning}", Warning);
        }
    }
}
