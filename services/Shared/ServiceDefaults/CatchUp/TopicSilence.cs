using System.Diagnostics.Metrics;
using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
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
    private volatile bool _isHeardUntold;
    private long? _toldAt;
    private long _deliveredAt = time.GetTimestamp();
    private int _silentLooks;

    /// <summary>For readiness; null while the topic brings its events.</summary>
    public string? Warning { get; private set; }

    private string Key => $"catch-up|heard|{topic}";

    public void Delivered(int events)
    {
        Interlocked.Add(ref _delivered, events);
        _isHeardUntold = true;
        Volatile.Write(ref _deliveredAt, time.GetTimestamp());
    }

    /// <summary>Whether nothing was delivered for so long.</summary>
    public bool HasLasted(TimeSpan duration) => time.GetElapsedTime(Volatile.Read(ref _deliveredAt)) >= duration;

    public void Found(int events)
    {
        Interlocked.Add(ref _found, events);
        FoundEvents.Add(events, new KeyValuePair<string, object?>("topic", topic));
    }

    /// <summary>
    /// Called after each look at the log. Of several replicas a broker may give all messages to one, while another follows the log: who hears the topic tells
    /// the others so, in one document that vanishes by itself, and nobody warns while somebody hears it.
    /// </summary>
    public async Task LookAsync(Documents documents, string instance, TimeSpan lookEvery, ILogger logger, CancellationToken cancellationToken)
    {
        var isHeard = false;
        try
        {
            if (_isHeardUntold && (_toldAt is not { } told || time.GetElapsedTime(told) >= lookEvery * LaneCursor.LooksUntilSignOfLife))
            {
                (_isHeardUntold, _toldAt) = (false, time.GetTimestamp());
                await documents.OverwriteAsync(Key, new Heard(instance), lookEvery * LaneCursor.LooksUntilGone, cancellationToken);
            }

            isHeard = Volatile.Read(ref _found) > 0
                && Volatile.Read(ref _delivered) == 0
                && await documents.ReadAsync<Heard>(Key, cancellationToken) is { } heard
                && heard.Instance != instance;
        }
        catch (DaprException)
        {
            // Of a store that is away others tell.
        }

        Look(isHeard, logger);
    }

    private void Look(bool isHeardElsewhere, ILogger logger)
    {
        var (found, delivered) = (Interlocked.Exchange(ref _found, 0), Interlocked.Exchange(ref _delivered, 0));
        if (delivered > 0 || isHeardElsewhere)
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

    private sealed record Heard(string Instance);
}
