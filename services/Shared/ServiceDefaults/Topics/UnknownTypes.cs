using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Topics;

/// <summary>
/// Event types that publishers of a later version have added: what is passed is counted (<c>events.unknown_type</c>, by topic and type) and
/// logged once for each type.
/// </summary>
public sealed class UnknownTypes(ILogger<UnknownTypes> logger)
{
    // Types are names in a publisher's program, so there are few; a broken one must not fill the memory.
    private const int MostTold = 1000;

    private static readonly Meter Meter = new("DaprOrders.Topics");

    private static readonly Counter<long> Passed = Meter.CreateCounter<long>(
        "events.unknown_type", "{event}", "Events that were passed because this program does not know their type.");

    private readonly ConcurrentDictionary<(string Topic, string Type), bool> _told = new();

    public void Tell(string topic, string type)
    {
        var isNew = _told.Count < MostTold && _told.TryAdd((topic, type), true);
        Passed.Add(1, new("topic", topic), new("type", _told.ContainsKey((topic, type)) ? type : "other"));
        if (isNew)
        {
            logger.LogWarning(
                "Topic {Topic} brings events of type {EventType}, which this service does not know: they are passed until it is upgraded (told once)",
                topic, type);
        }
    }
}
