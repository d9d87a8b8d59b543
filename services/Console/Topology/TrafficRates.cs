namespace DaprOrders.Console.Topology;

/// <summary>Who calls whom, or takes which topic, and how often in a second; null where that is not known, or not yet.</summary>
public sealed record Edge(string From, string To, double? PerSecond);

/// <summary>
/// Rates out of counts that only grow. Any replica may answer, and each has its own counts: a rate is between answers of the same one, and the service's
/// is the sum of its replicas' that have answered of late.
/// </summary>
public sealed class TrafficRates
{
    private const int Kept = 5;

    private static readonly TimeSpan Gone = TimeSpan.FromMinutes(1);

    private readonly Dictionary<(string App, string Instance), List<(DateTimeOffset At, Traffic Traffic)>> _readings = [];

    public void Take(TopologyState state)
    {
        foreach (var node in state.Nodes)
        {
            if (node.Traffic.Value is not { } traffic)
                continue;
            if (!_readings.TryGetValue((node.App, traffic.Instance), out var readings))
                _readings[(node.App, traffic.Instance)] = readings = [];
            // A process that was started anew counts from zero.
            if (readings.Count > 0 && HasShrunk(readings[^1].Traffic, traffic))
                readings.Clear();
            readings.Add((state.At, traffic));
            if (readings.Count > Kept)
                readings.RemoveAt(0);
        }

        foreach (var (replica, readings) in _readings.ToList())
        {
            if (state.At - readings[^1].At > Gone)
                _readings.Remove(replica);
        }
    }

    public double? Published(string app, string topic) => Rate(app, traffic => traffic.Published, topic);

    public double? Delivered(string app, string topic) => Rate(app, traffic => traffic.Delivered, topic);

    /// <summary>
    /// The calls as the callers' sidecars count them, and those of callers that are not asked (the console, for one) as the called ones' do. Of a service
    /// whose sidecar does not tell, those that are known from elsewhere: the logs that it follows, and its HTTPEndpoints.
    /// </summary>
    public IReadOnlyList<Edge> Calls(TopologyState state)
    {
        var asked = state.Nodes.Select(node => node.App).ToHashSet();
        return
        [
            .. state.Nodes.SelectMany(node => node.Traffic.Value?.Calls is { } calls
                ? calls.Called.Keys.Select(to => new Edge(node.App, to, Rate(node.App, traffic => traffic.Calls?.Called, to)))
                : state.LogReaders.Where(reader => reader.Reader == node.App).Select(reader => reader.Publisher)
                    .Concat((node.Sidecar.Value?.HttpEndpoints ?? []).Select(endpoint => endpoint.Name))
                    .Select(to => new Edge(node.App, to, null))),
            .. state.Nodes.SelectMany(node => (node.Traffic.Value?.Calls?.CalledBy.Keys ?? []).Where(from => !asked.Contains(from))
                .Select(from => new Edge(from, node.App, Rate(node.App, traffic => traffic.Calls?.CalledBy, from)))),
        ];
    }

    private double? Rate(string app, Func<Traffic, IReadOnlyDictionary<string, long>?> counts, string name)
    {
        double? rate = null;
        foreach (var (_, readings) in _readings.Where(replica => replica.Key.App == app))
        {
            var ((from, first), (to, last)) = (readings[0], readings[^1]);
            if (to > from && counts(first) is { } before && counts(last) is { } after)
                rate = (rate ?? 0) + ((after.GetValueOrDefault(name) - before.GetValueOrDefault(name)) / (to - from).TotalSeconds);
        }

        return rate;
    }

    private static bool HasShrunk(Traffic before, Traffic after) =>
        Shrinks(before.Published, after.Published) || Shrinks(before.Delivered, after.Delivered)
        || (before.Calls is { } callsBefore && after.Calls is { } calls && (Shrinks(callsBefore.Called, calls.Called) || Shrinks(callsBefore.CalledBy, calls.CalledBy)));

    private static bool Shrinks(IReadOnlyDictionary<string, long> before, IReadOnlyDictionary<string, long> after) =>
        before.Any(count => after.GetValueOrDefault(count.Key) < count.Value);
}
