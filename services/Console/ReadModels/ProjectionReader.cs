using DaprOrders.Console.Calling;

namespace DaprOrders.Console.ReadModels;

/// <param name="Serving">Null: Reporting does not say.</param>
public sealed record LaneProgress(string Publisher, string? Topic, string Lane, long Head, long? Serving, long? Building)
{
    public long? Lag => Serving is { } position ? Math.Max(0, Head - position) : null;
}

public sealed record ProjectionState(DateTimeOffset At, Projections? Projections, IReadOnlyList<LaneProgress> Lanes, IReadOnlyList<Failure> Failures)
{
    /// <summary>Of the logs that could be read.</summary>
    public long Lag => Lanes.Sum(lane => lane.Lag ?? 0);

    /// <summary>How much of the logs a rebuild has read, 0 to 1; null when none goes on.</summary>
    public double? Built => Projections?.Building is null ? null : Lanes.Sum(lane => lane.Head) is var all and > 0 ? (double)Lanes.Sum(lane => Math.Min(lane.Head, lane.Building ?? 0)) / all : 1;

    /// <summary>At the pace that it had so far; null while there is none.</summary>
    public TimeSpan? Left => Built is { } built and > 0.01 && Projections?.Building?.Since is { } since ? (At - since) * ((1 - built) / built) : null;
}

/// <summary>How far Reporting's read models are, beside the heads of the logs that they are made from.</summary>
public sealed class ProjectionReader(ServicesClient services, TimeProvider time)
{
    public async Task<ProjectionState> ReadAsync(CancellationToken cancellationToken)
    {
        var asked = services.GetAsync<Projections>(Apps.Reporting, "projections", cancellationToken);
        var logs = await Task.WhenAll(Apps.Publishers.Select(async app => (app, Lanes: await services.GetAsync<Lanes>(app, "event-log", cancellationToken))));
        var read = await asked;
        return new(
            time.GetUtcNow(),
            read.Value,
            [.. logs.Where(log => log.Lanes.IsHere).SelectMany(log => log.Lanes.Value!.All.Select(lane => new LaneProgress(
                log.app, read.Value?.Serving.TopicOf(log.app), lane.Name, lane.Settled, read.Value is { } at ? at.Serving.PositionIn(log.app, lane.Name) ?? 0 : null, read.Value?.Building?.PositionIn(log.app, lane.Name))))],
            [.. logs.Select(log => log.Lanes.Failure).Append(read.Failure).OfType<Failure>()]);
    }

    public Task<Answer<Nothing>> RebuildAsync(CancellationToken cancellationToken) =>
        services.SendAsync<Nothing>(HttpMethod.Post, Apps.Reporting, "projections/rebuild", null, cancellationToken);
}
