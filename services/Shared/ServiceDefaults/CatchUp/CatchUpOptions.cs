using System.ComponentModel.DataAnnotations;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>Section <c>CatchUp</c> of the configuration.</summary>
internal sealed class CatchUpOptions
{
    /// <summary>How long a topic has to bring an event before it is taken from the publisher's log. The log is looked at twice in that time.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:10:00")]
    public TimeSpan Behind { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How often an event that its handler refuses is tried before it becomes a dead letter: as often as the broker does it, by
    /// components/common/resiliency.yaml. A store or a neighbour that is away does not count.
    /// </summary>
    [Range(1, 1000)]
    public int Attempts { get; set; } = 6;

    /// <summary>A topic that brings its events in order, only late, is given so long: in a flood, its events are not to be handled twice.</summary>
    public TimeSpan BehindAtMost => Behind * 6;

    public TimeSpan LookEvery => Behind / 2;
}
